import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { deliverAll } from './support/imap-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { mixedMails } from './support/mails.ts';
import { endedRecord, send, waitingRecord } from './support/sending.ts';
import { type SmtpSubject, startSmtpSubject } from './support/smtp-subject.ts';
import { isExchangeToken, startTokenIntrospection, type TokenIntrospection } from './support/token-introspection.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const good = { clientId: '33333333-3333-4333-8333-333333333333', secret: 'the-good-client-secret' };
const expired = { clientId: '44444444-4444-4444-8444-444444444444', secret: 'the-expired-client-secret' };

let mailroom: Mailroom;
let introspection: TokenIntrospection;
let dovecot: Dovecot;
let smtp: SmtpSubject;
/** Tokens that the SMTP server was shown. */
const shown: string[] = [];

beforeAll(async () => {
  mailroom = await Mailroom.start();
  const { entra } = mailroom;
  entra.register({ tenantId, ...good });
  entra.register({ tenantId, ...expired, secretExpiresAt: Date.now() - 1_000 });
  introspection = await startTokenIntrospection(entra, 'tester');
  dovecot = await startDovecot({ introspectionUrl: introspection.url });
  const { key, cert } = dovecot.certificates;
  smtp = await startSmtpSubject({
    server: {
      secure: true,
      key,
      cert,
      authOptional: false,
      authMethods: ['XOAUTH2'],
      onAuth({ username, accessToken = '' }, _session, done) {
        shown.push(accessToken);
        isExchangeToken(entra, accessToken).then((good) => {
          if (username === 'tester' && good) done(null, { user: username });
          else done(null, { data: { status: '401', schemes: 'bearer', scope: 'smtp' } });
        }, done);
      },
    },
  });
});
afterAll(async () => {
  await smtp?.stop();
  await dovecot?.remove();
  await introspection?.stop();
  await mailroom?.stop();
});

/** An account whose store is IMAP and whose transport is SMTP, both signed in to by XOAUTH2 as an app. */
async function oauth2Account(name: string, app: { readonly clientId: string; readonly secret: string }) {
  const secret = `${name}-client-secret`;
  await mailroom.secret(name, secret, app.secret);
  const credential = { type: 'clientSecret', tenantId, clientId: app.clientId, secret };
  const auth = { type: 'oauth2', user: 'tester', credential };
  const tls = { ca: dovecot.certificates.ca };
  await mailroom.expect([200, 201], 'PUT', `/api/accounts/${name}`, {
    body: {
      from: `${name}@example.com`,
      transport: { protocol: 'smtps', host: '127.0.0.1', port: smtp.port, auth, tls, heloName: 'mailroom.example.com' },
      store: { protocol: 'imap', host: '127.0.0.1', port: dovecot.ports.imap, auth, tls },
      import: { schedule: null },
    },
  });
}

const statusOf = async (name: string) => (await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`)).json;

describe('an account on IMAP and SMTP that signs in with tokens of Entra ID', () => {
  beforeAll(() => oauth2Account('corpus', good));

  it('imports and sends, with one token for both', async () => {
    await deliverAll(dovecot, mixedMails(3, 7, 2_000));
    expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 3 });
    expect(await mailroom.assets('corpus')).toHaveLength(3);
    const { id } = await send(mailroom, 'corpus');
    expect(await endedRecord(mailroom, id)).toMatchObject({ status: 'sent' });
    expect(await smtp.delivered()).toHaveLength(1);
    expect(new Set([...shown, ...introspection.asked]).size).toBe(1);
    expect((await statusOf('corpus')).failing).toEqual([]);
  });

  it('goes on with a new token after the kept one was revoked', async () => {
    introspection.revoke(introspection.asked.at(-1) ?? '');
    expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0 });
    expect(new Set(introspection.asked).size).toBe(2);
  });
});

describe('a client secret that has expired', () => {
  it('shows in the status, with what to do, for both sides (trap: noticed by nobody)', async () => {
    await oauth2Account('old', expired);
    const [asked, seen] = [introspection.asked.length, shown.length];
    expect(await mailroom.import('old')).toMatchObject({
      status: 'failed',
      error: expect.stringMatching(/AADSTS7000222.*has expired/),
    });
    await waitingRecord(mailroom, (await send(mailroom, 'old')).id);
    const { failing, lastErrors } = await statusOf('old');
    expect(lastErrors[0]?.error).toContain('AADSTS7000222');
    expect(failing).toHaveLength(2);
    for (const side of failing) {
      expect(side).toMatchObject({ code: 'AADSTS7000222', hint: expect.stringContaining('has expired') });
    }
    // No mail server heard of it.
    expect([introspection.asked.length, shown.length]).toEqual([asked, seen]);
  });

  it('is over once a new one is stored, without a restart', async () => {
    mailroom.entra.register({ tenantId, clientId: expired.clientId, secret: 'the-new-client-secret' });
    await mailroom.secret('old', 'old-client-secret', 'the-new-client-secret');
    expect(await mailroom.import('old')).toMatchObject({ status: 'done', imported: 3 });
    const { failing } = await statusOf('old');
    expect(failing.map(({ side }: { side: string }) => side)).toEqual(['transport']);
  });
});

it('no token and no client secret is in the log, nor in what is answered', async () => {
  const tokens = [...new Set([...shown, ...introspection.asked])];
  expect(tokens.length).toBeGreaterThan(2);
  const answers = await Promise.all(
    ['/api/accounts', '/api/messages?account=old', '/api/accounts/old/runs', '/api/accounts/old/status'].map(
      async (path) => (await mailroom.expect(200, 'GET', path)).bytes.toString(),
    ),
  );
  const reported = [await mailroom.log(), ...answers].join('\n');
  for (const secret of [...tokens, good.secret, expired.secret, 'the-new-client-secret']) {
    expect(reported.includes(secret)).toBe(false);
  }
});
