import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, startDovecot } from '../../../test/support/dovecot.ts';
import { imapStore } from '../../../test/support/imap-fixture.ts';
import { type StallProxy, startStallProxy } from '../../../test/support/stall-proxy.ts';
import { never } from '../../../test/support/store-helpers.ts';

const PASSWORD = 'secret';

describe('IMAP and TLS', () => {
  let good: Dovecot;
  let expired: Dovecot;
  let wrongHost: Dovecot;
  let proxy: StallProxy;
  let withoutStarttls: StallProxy;
  beforeAll(async () => {
    [good, expired, wrongHost] = await Promise.all([
      startDovecot(),
      startDovecot({ certificate: 'expired' }),
      startDovecot({ certificate: 'wrongHost' }),
    ]);
    proxy = await startStallProxy({ host: good.host, port: good.ports.imap });
    withoutStarttls = await startStallProxy({
      host: good.host,
      port: good.ports.imap,
      hideCapabilities: ['STARTTLS'],
    });
  });
  afterAll(async () => {
    await Promise.all([proxy, withoutStarttls].map((one) => one?.stop()));
    await Promise.all([good, expired, wrongHost].map((one) => one?.remove()));
  });

  const opens = async (settings: Readonly<Record<string, unknown>>) => {
    const session = await imapStore(settings, PASSWORD).open({ signal: never });
    const scope = await session.scope('INBOX', never);
    await session.close();
    return scope;
  };
  /** The password in none of the ways in which it could cross the line. */
  const passwordSeen = (sent: readonly string[]) =>
    [PASSWORD, Buffer.from(PASSWORD).toString('base64'), Buffer.from(`\0tester\0${PASSWORD}`).toString('base64')].some(
      (form) => sent.join('\n').includes(form),
    );

  it.each(['preferred', 'required'])('takes STARTTLS when it is offered: %s', async (starttls) => {
    proxy.reset();
    expect(await opens({ port: proxy.port, tls: { starttls, ca: good.certificates.ca } })).toMatch(/^INBOX;/);
    expect(proxy.sent().some((line) => line.endsWith(' STARTTLS'))).toBe(true);
    expect(passwordSeen(proxy.sent())).toBe(false);
  });

  it.each(['preferred', 'required'])('sends no password when STARTTLS is not offered: %s', async (starttls) => {
    withoutStarttls.reset();
    const opening = opens({ port: withoutStarttls.port, tls: { starttls, ca: good.certificates.ca } });
    await expect(opening).rejects.toMatchObject({
      name: 'StoreError',
      kind: 'connection',
      code: 'STARTTLS_UNAVAILABLE',
      hint: expect.stringContaining('starttls'),
    });
    expect(passwordSeen(withoutStarttls.sent())).toBe(false);
  });

  it('sends it where the account says so', async () => {
    withoutStarttls.reset();
    await opens({ port: withoutStarttls.port, tls: { starttls: 'never' } });
    expect(passwordSeen(withoutStarttls.sent())).toBe(true);
  });

  it('never falls back to plain text after a failed handshake', async () => {
    proxy.reset();
    // The authority is not known, so the handshake fails.
    await expect(opens({ port: proxy.port, tls: { starttls: 'preferred' } })).rejects.toMatchObject({
      name: 'StoreError',
      kind: 'connection',
      hint: expect.stringContaining('tls.ca'),
    });
    expect(passwordSeen(proxy.sent())).toBe(false);
  });

  it.each([
    ['imaps', 'expired', 'CERT_HAS_EXPIRED'],
    ['imap', 'expired', 'CERT_HAS_EXPIRED'],
    ['imaps', 'wrongHost', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['imap', 'wrongHost', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ] as const)(
    'refuses over %s a certificate that is %s, unless the host is trusted',
    async (protocol, variant, code) => {
      const dovecot = variant === 'expired' ? expired : wrongHost;
      const settings = { protocol, port: dovecot.ports[protocol] };
      const ca = dovecot.certificates.ca;
      await expect(opens({ ...settings, tls: { ca } })).rejects.toMatchObject({ kind: 'connection', code });
      expect(await opens({ ...settings, tls: { ca, trust: ['127.0.0.1'] } })).toMatch(/^INBOX;/);
      expect(await opens({ ...settings, tls: { trust: '*' } })).toMatch(/^INBOX;/);
      const elsewhere = opens({ ...settings, tls: { trust: ['mail.example.com'] } });
      await expect(elsewhere).rejects.toMatchObject({ kind: 'connection', code: 'TLS_NOT_ALLOWED' });
    },
  );

  it('keeps one identity over protocols and letter cases of the host, and another for a port of its own', () => {
    const names = [
      imapStore({ protocol: 'imap', host: 'Mail.Example.com', port: 143 }),
      imapStore({ protocol: 'imaps', host: 'mail.example.com', port: 993 }),
      imapStore({ protocol: 'imaps', host: 'mail.example.com', port: 1993 }),
    ].map(({ identity }) => identity);
    expect(names).toEqual([
      'imap://tester@mail.example.com',
      'imap://tester@mail.example.com',
      'imap://tester@mail.example.com:1993',
    ]);
  });
});
