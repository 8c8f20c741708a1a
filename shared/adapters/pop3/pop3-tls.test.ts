import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TlsFixture, tlsContract } from '../../../test/contract/tls.contract.ts';
import { makeTestCertificates, type TestCertificates } from '../../../test/support/certificates.ts';
import { type Dovecot, startDovecot } from '../../../test/support/dovecot.ts';
import { pop3Store } from '../../../test/support/pop3-fixture.ts';
import {
  type ScriptedPop3,
  type ScriptedPop3Options,
  startScriptedPop3,
  usualCapabilities,
} from '../../../test/support/scripted-pop3.ts';
import { never } from '../../../test/support/store-helpers.ts';
import { pop3Dialect } from '../../../test/support/tls-door.ts';
import { StoreError } from '../store.ts';

const PASSWORD = 'secret';
const base64 = (text: string) => Buffer.from(text).toString('base64');

const opens = async (settings: Readonly<Record<string, unknown>>) => {
  const session = await pop3Store(settings, { secret: async () => PASSWORD }).open({ signal: never });
  const scope = await session.scope('INBOX', never);
  await session.close();
  return scope === '';
};

/** The user and the password in none of the ways in which they could cross the line. */
const passwordSeen = (sent: string) =>
  [
    PASSWORD,
    'USER',
    Buffer.from(PASSWORD).toString('base64'),
    Buffer.from(`\0tester\0${PASSWORD}`).toString('base64'),
  ].some((form) => sent.includes(form));

async function fixture(protocol: 'pop3' | 'pop3s'): Promise<TlsFixture> {
  const dovecot = await startDovecot();
  return {
    backend: { host: dovecot.host, port: dovecot.ports.pop3 },
    dialect: pop3Dialect,
    passwordForms: [PASSWORD, base64(PASSWORD), base64(`\0tester\0${PASSWORD}`)],
    settingsTrouble: 'connection',
    withoutStarttls: /^STARTTLS_UNAVAILABLE$/,
    injected: 'refused',
    async connect(target) {
      try {
        const session = await pop3Store({ protocol, ...target }, { secret: async () => PASSWORD }).open({
          signal: never,
        });
        await session.close();
        return { ok: true };
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        return { ok: false, whose: error.kind, code: error.code, hint: error.hint };
      }
    },
    tearDown: () => dovecot.remove(),
  };
}

tlsContract('pop3', false, () => fixture('pop3'));
tlsContract('pop3s', true, () => fixture('pop3s'));

describe('POP3 and TLS, against Dovecot', () => {
  let good: Dovecot;
  beforeAll(async () => {
    good = await startDovecot();
  });
  afterAll(() => good?.remove());

  it('says so where TLS is spoken on the plain port, or plain text on the other', async () => {
    const { ca } = good.certificates;
    await expect(opens({ protocol: 'pop3s', port: good.ports.pop3, tls: { ca } })).rejects.toMatchObject({
      kind: 'connection',
      hint: expect.stringContaining('TLS'),
    });
    await expect(opens({ port: good.ports.pop3s, tls: { starttls: 'never' }, timeout: 2_500 })).rejects.toMatchObject({
      kind: 'connection',
      hint: expect.stringContaining('pop3s'),
    });
  });

  it('keeps one identity over protocols and letter cases of the host, and another for a port of its own', () => {
    const names = [
      pop3Store({ protocol: 'pop3', host: 'Mail.Example.com', port: 110 }),
      pop3Store({ protocol: 'pop3s', host: 'mail.example.com', port: 995 }),
      pop3Store({ protocol: 'pop3s', host: 'mail.example.com', port: 1995 }),
    ].map(({ identity }) => identity);
    expect(names).toEqual([
      'pop3://tester@mail.example.com',
      'pop3://tester@mail.example.com',
      'pop3://tester@mail.example.com:1995',
    ]);
  });
});

describe('POP3 and TLS, against servers and men in the middle that mean no good', () => {
  let directory: string;
  let certificates: TestCertificates;
  let server: ScriptedPop3;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pop3-tls-'));
    certificates = await makeTestCertificates(directory);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  afterEach(() => server.stop());

  const capabilities = [...usualCapabilities, 'STLS'];
  const start = async (options: ScriptedPop3Options, tls = true) => {
    server = await startScriptedPop3({ ...(tls ? { tls: certificates } : {}), capabilities, ...options });
  };
  const through = (tls: Readonly<Record<string, unknown>> = {}) =>
    opens({ port: server.port, timeout: 1_500, connectionTimeout: 1_500, tls: { ca: certificates.ca, ...tls } });

  it.each(['preferred', 'required'])(
    'STLS was stripped from what the server offers: no password is sent (%s)',
    async (starttls) => {
      await start({ capabilities: usualCapabilities });
      await expect(through({ starttls })).rejects.toMatchObject({
        kind: 'connection',
        code: 'STARTTLS_UNAVAILABLE',
        hint: expect.stringContaining('starttls'),
      });
      expect(passwordSeen(server.plain())).toBe(false);
    },
  );

  it.each([capabilities, undefined])('STLS is refused: no password is sent', async (words) => {
    await start({ capabilities: words, script: { STLS: () => '-ERR not now\r\n' } });
    await expect(through()).rejects.toMatchObject({ code: 'STARTTLS_UNAVAILABLE' });
    expect(passwordSeen(server.plain())).toBe(false);
  });

  it('answers put behind the answer to STLS are never taken for answers under TLS', async () => {
    await start({ script: { STLS: () => '+OK begin\r\n+OK\r\nTOP\r\nUSER\r\n.\r\n' } });
    await expect(through()).rejects.toMatchObject({ kind: 'connection', code: 'STARTTLS_INJECTION' });
    expect(passwordSeen(server.plain())).toBe(false);
  });

  it('what was offered before TLS is forgotten and asked for again', async () => {
    await start({
      script: { CAPA: (_, { encrypted }) => (encrypted ? '+OK\r\nSASL PLAIN\r\n.\r\n' : 'ordinary') },
    });
    expect(await through()).toBe(true);
    expect(server.lines().filter((line) => line === 'CAPA')).toHaveLength(2);
    expect(server.lines()).toContain('AUTH PLAIN');
    expect(server.lines()).not.toContain('USER tester');
  });

  it('an old version of TLS is refused, unless the account allows it', async () => {
    await start({ tls: { ...certificates, maxVersion: 'TLSv1.1' } });
    await expect(through()).rejects.toMatchObject({
      kind: 'connection',
      hint: expect.stringContaining('tls.minVersion'),
    });
    expect(passwordSeen(server.plain())).toBe(false);
    expect(await through({ minVersion: 'TLSv1.1' })).toBe(true);
  });

  it('a handshake that goes silent ends with the limit, or with the signal', async () => {
    // It says that TLS may begin, and then says nothing.
    await start({ script: { STLS: () => '+OK begin\r\n' } }, false);
    await expect(
      opens({ port: server.port, connectionTimeout: 400, tls: { ca: certificates.ca } }),
    ).rejects.toMatchObject({
      kind: 'connection',
      code: 'ETIMEDOUT',
    });
    const controller = new AbortController();
    const settings = { port: server.port, connectionTimeout: 0, tls: { ca: certificates.ca } };
    const opening = pop3Store(settings).open({ signal: controller.signal });
    await expect.poll(() => server.lines().filter((line) => line === 'STLS')).toHaveLength(2);
    controller.abort();
    await expect(opening).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect.poll(() => server.open()).toBe(0);
  });
});
