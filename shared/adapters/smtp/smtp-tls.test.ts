import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SMTPServerOptions } from 'smtp-server';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { frozenMail, outcomes, sendOptions, transportContract } from '../../../test/contract/transport.contract.ts';
import { makeTestCertificates, type TestCertificates } from '../../../test/support/certificates.ts';
import { type SmtpSubject, type SmtpSubjectOptions, startSmtpSubject } from '../../../test/support/smtp-subject.ts';
import type { MailTransport, Receipt } from '../transport.ts';

let directory = '';
let good: TestCertificates;
let wrongHost: TestCertificates;
let expired: TestCertificates;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'smtp-tls-'));
  [good, wrongHost, expired] = await Promise.all([
    makeTestCertificates(directory),
    makeTestCertificates(directory, { variant: 'wrongHost' }),
    makeTestCertificates(directory, { variant: 'expired' }),
  ]);
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

describe('certificates', () => {
  const protocols = [
    ['smtps', implicit],
    ['smtp', offered],
  ] as const;

  it.each(protocols)(
    '%s: an unknown authority is the account’s trouble; ca, trust "*" or the host accept it',
    async (protocol, server) => {
      const subject = await start({ server: server(good), config: { protocol } });
      const refused = await send(subject.transportWith({}));
      expect(outcomes(refused)).toEqual(['deferred']);
      expect(refused.trouble).toMatchObject({ scope: 'account', hint: expect.stringContaining('tls.ca') });
      for (const tls of [
        { ca: good.ca },
        { trust: '*' },
        { trust: ['127.0.0.1'] },
        { trust: ['other.example', '127.0.0.1'] },
      ]) {
        expect(outcomes(await send(subject.transportWith({ tls })))).toEqual(['accepted']);
      }
    },
  );

  it.each(protocols)('%s: another name or a past end is refused, and accepted by trust', async (protocol, server) => {
    for (const certificate of [wrongHost, expired]) {
      const subject = await start({ server: server(certificate), config: { protocol } });
      const refused = await send(subject.transportWith({ tls: { ca: certificate.ca } }));
      expect(refused.trouble).toMatchObject({ scope: 'account', hint: expect.stringContaining('tls.trust') });
      expect(outcomes(await send(subject.transportWith({ tls: { trust: ['127.0.0.1'] } })))).toEqual(['accepted']);
      expect(await subject.delivered()).toHaveLength(1);
    }
  });

  it.each(protocols)(
    '%s: a host missing from tls.trust is refused before anything is sent',
    async (protocol, server) => {
      const subject = await start({ server: server(good), config: { protocol } });
      const refused = await send(subject.transportWith({ tls: { trust: ['mail.example.com'] } }));
      expect(refused.trouble).toMatchObject({ scope: 'account', code: 'TLS_NOT_ALLOWED' });
      expect(subject.connections()).toBe(0);
    },
  );

  it('checks the name it connects to, and sends it as SNI', async () => {
    const names: string[] = [];
    const subject = await start({
      server: {
        ...implicit(good),
        SNICallback: (name: string, done: (error: Error | null) => void) => {
          names.push(name);
          done(null);
        },
      } as SMTPServerOptions,
      config: { protocol: 'smtps', tls: { ca: good.ca } },
    });
    expect(outcomes(await send(subject.transportWith({ host: 'localhost' })))).toEqual(['accepted']);
    expect(outcomes(await send(subject.transportWith({})))).toEqual(['accepted']);
    expect(names).toEqual(['localhost']);
  });

  it('tells smtps from a port that speaks TLS later', async () => {
    const subject = await start({ server: offered(good) });
    const refused = await send(subject.transportWith({ protocol: 'smtps' }));
    expect(refused.trouble).toMatchObject({ scope: 'connection', hint: expect.stringContaining('STARTTLS') });
  });

  it('speaks an old TLS only where the account allows it', async () => {
    const old = {
      ...implicit(good),
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    } as const;
    const subject = await start({ server: old, config: { protocol: 'smtps' } });
    const refused = await send(subject.transportWith({ tls: { ca: good.ca } }));
    expect(refused.trouble).toMatchObject({ hint: expect.stringContaining('minVersion') });
    const allowed = await send(subject.transportWith({ tls: { ca: good.ca, minVersion: 'TLSv1' } }));
    expect(outcomes(allowed)).toEqual(['accepted']);
  });
});

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
