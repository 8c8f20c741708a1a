import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SMTPServerOptions } from 'smtp-server';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TlsFixture, tlsContract } from '../../../test/contract/tls.contract.ts';
import { frozenMail, outcomes, sendOptions, transportContract } from '../../../test/contract/transport.contract.ts';
import { makeTestCertificates, type TestCertificates } from '../../../test/support/certificates.ts';
import { type SmtpSubject, type SmtpSubjectOptions, startSmtpSubject } from '../../../test/support/smtp-subject.ts';
import { smtpDialect } from '../../../test/support/tls-door.ts';
import type { MailTransport, Receipt } from '../transport.ts';

let directory = '';
let good: TestCertificates;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'smtp-tls-'));
  good = await makeTestCertificates(directory);
});
afterAll(() => rm(directory, { recursive: true }));

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function start(options: SmtpSubjectOptions): Promise<SmtpSubject> {
  const subject = await startSmtpSubject(options);
  cleanUp.push(() => subject.stop());
  return subject;
}

async function send(transport: MailTransport): Promise<Receipt> {
  cleanUp.push(() => transport.close());
  return transport.send(frozenMail(), sendOptions());
}

const implicit = (certificate: TestCertificates): SMTPServerOptions => ({
  secure: true,
  key: certificate.key,
  cert: certificate.cert,
});
const offered = (certificate: TestCertificates): SMTPServerOptions => ({
  disabledCommands: [],
  key: certificate.key,
  cert: certificate.cert,
});
const signIn = { auth: { type: 'password', user: 'corpus', secret: 'corpus-smtp' } };
const account = { user: 'corpus', pass: 'swordfish' };
const authenticating: SMTPServerOptions = {
  authOptional: false,
  onAuth(auth, _session, done) {
    const known = auth.username === account.user && auth.password === account.pass;
    done(
      known ? null : Object.assign(new Error('wrong'), { responseCode: 535 }),
      known ? { user: 'corpus' } : undefined,
    );
  },
};
const secret = async () => account.pass;

transportContract('smtps', () =>
  startSmtpSubject({ server: implicit(good), config: { protocol: 'smtps', tls: { ca: good.ca } } }),
);
transportContract('smtp with STARTTLS and a password', () =>
  startSmtpSubject({
    server: { ...offered(good), ...authenticating },
    config: { ...signIn, tls: { starttls: 'required', ca: good.ca } },
    context: { secret },
  }),
);

const base64 = (text: string) => Buffer.from(text).toString('base64');

async function fixture(protocol: 'smtp' | 'smtps'): Promise<TlsFixture> {
  const subject = await startSmtpSubject({
    server: { ...authenticating, allowInsecureAuth: true },
    config: { ...signIn, protocol },
    context: { secret },
  });
  return {
    backend: subject,
    dialect: smtpDialect,
    passwordForms: [account.pass, base64(account.pass), base64(`\0${account.user}\0${account.pass}`)],
    settingsTrouble: 'account',
    withoutStarttls: /^(UNENCRYPTED|STARTTLS_UNAVAILABLE)$/,
    injected: 'refused',
    async connect(target) {
      const transport = subject.transportWith(target);
      const { trouble, recipients } = await transport.send(frozenMail(), sendOptions());
      await transport.close();
      if (trouble) return { ok: false, whose: trouble.scope, code: trouble.code, hint: trouble.hint };
      if (recipients.some(({ outcome }) => outcome !== 'accepted')) throw new Error('not accepted, and no trouble');
      return { ok: true };
    },
    tearDown: () => subject.stop(),
  };
}

tlsContract('smtp', false, () => fixture('smtp'));
tlsContract('smtps', true, () => fixture('smtps'));

describe('STARTTLS', () => {
  async function connectionsSecured(
    tls: object,
    server: SMTPServerOptions,
  ): Promise<readonly [Receipt, readonly boolean[]]> {
    const secured: boolean[] = [];
    const subject = await start({
      server: {
        ...server,
        onMailFrom(_address, session, done) {
          secured.push(session.secure);
          done();
        },
      },
    });
    return [await send(subject.transportWith({ tls })), secured];
  }

  it('is taken when offered (preferred, required) and left alone by never', async () => {
    for (const starttls of ['preferred', 'required', 'never']) {
      const [receipt, secured] = await connectionsSecured({ starttls, ca: good.ca }, offered(good));
      expect(outcomes(receipt)).toEqual(['accepted']);
      expect(secured).toEqual([starttls !== 'never']);
    }
  });

  it('preferred never falls back after a failed handshake', async () => {
    const [receipt, secured] = await connectionsSecured({ starttls: 'preferred' }, offered(good));
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(secured).toEqual([]);
  });

  it('preferred goes on without where it is not offered; required does not', async () => {
    const [taken, open] = await connectionsSecured({ starttls: 'preferred' }, {});
    expect(outcomes(taken)).toEqual(['accepted']);
    expect(open).toEqual([false]);
    const [refused, none] = await connectionsSecured({ starttls: 'required' }, {});
    expect(refused.trouble).toMatchObject({ scope: 'account', hint: expect.stringContaining('starttls') });
    expect(none).toEqual([]);
  });
});

describe('signing in', () => {
  it('never sends a password over an open connection unless starttls is never', async () => {
    const subject = await start({
      server: { ...authenticating, allowInsecureAuth: true },
      config: signIn,
      context: { secret },
    });
    const refused = await send(subject.transportWith({ tls: { starttls: 'preferred' } }));
    expect(refused.trouble).toMatchObject({ scope: 'account', code: 'UNENCRYPTED' });
    expect(outcomes(await send(subject.transportWith({ tls: { starttls: 'never' } })))).toEqual(['accepted']);
  });

  it.each(['PLAIN', 'LOGIN', 'CRAM-MD5'])('by %s where that is what the server offers', async (mechanism) => {
    const methods: string[] = [];
    const subject = await start({
      server: {
        ...offered(good),
        authOptional: false,
        authMethods: [mechanism],
        onAuth(auth, _session, done) {
          methods.push(auth.method);
          const known =
            auth.method === 'CRAM-MD5' ? auth.validatePassword(account.pass) : auth.password === account.pass;
          done(known ? null : new Error('wrong'), known ? { user: 'corpus' } : undefined);
        },
      },
      config: { ...signIn, tls: { ca: good.ca } },
      context: { secret },
    });
    expect(outcomes(await send(subject.transportWith({})))).toEqual(['accepted']);
    expect(methods).toEqual([mechanism]);
  });

  it('is the account’s trouble where the server offers none, or the secret is missing', async () => {
    const subject = await start({
      server: { disabledCommands: ['AUTH', 'STARTTLS'] },
      config: { ...signIn, tls: { starttls: 'never' } },
    });
    const none = await send(subject.transportWith({}, { secret }));
    expect(none.trouble).toMatchObject({ scope: 'account', code: 'NO_AUTH' });
    const missing = await send(subject.transportWith({}));
    expect(missing.trouble).toMatchObject({
      scope: 'account',
      code: 'SECRET',
      hint: expect.stringContaining('corpus-smtp'),
    });
    expect(await subject.delivered()).toEqual([]);
  });

  it('uses a rotated secret with the next connection', async () => {
    let current = 'old';
    let valid = 'old';
    let reads = 0;
    const subject = await start({
      server: {
        ...implicit(good),
        authOptional: false,
        onAuth: (auth, _session, done) =>
          auth.password === valid
            ? done(null, { user: 'corpus' })
            : done(Object.assign(new Error('no'), { responseCode: 535 })),
      },
      config: { ...signIn, protocol: 'smtps', tls: { ca: good.ca } },
    });
    const transport = subject.transportWith(
      {},
      {
        secret: async () => {
          reads += 1;
          return current;
        },
      },
    );
    expect(outcomes(await send(transport))).toEqual(['accepted']);
    valid = 'new';
    expect(outcomes(await send(transport))).toEqual(['accepted']);
    expect(reads).toBe(1);
    subject.loseAnswer();
    expect(outcomes(await send(transport))).toEqual(['uncertain']);
    subject.heal();
    const refused = await send(transport);
    expect(refused.trouble).toMatchObject({ scope: 'account', code: '535' });
    current = 'new';
    expect(outcomes(await send(transport))).toEqual(['accepted']);
    expect(reads).toBe(3);
  });
});
