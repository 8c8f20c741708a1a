import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SMTPServerOptions } from 'smtp-server';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { frozenMail, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { makeTestCertificates, type TestCertificates } from '../../../test/support/certificates.ts';
import { type ExchangeAccount, exchangeAccount } from '../../../test/support/exchange-account.ts';
import { closedPort } from '../../../test/support/imap-fixture.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { trustTestServers } from '../../../test/support/scripted-graph.ts';
import { type Script, startScriptedSmtp } from '../../../test/support/scripted-smtp.ts';
import { smtpConfig, startSmtpSubject } from '../../../test/support/smtp-subject.ts';
import { isExchangeToken } from '../../../test/support/token-introspection.ts';
import type { CredentialsContext } from '../sign-in/credentials.ts';
import type { MailTransport, Receipt } from '../transport.ts';
import { createSmtpTransport } from './smtp-transport.ts';

let directory = '';
let certificate: TestCertificates;
let exchange: ExchangeAccount;
beforeAll(async () => {
  trustTestServers();
  directory = await mkdtemp(join(tmpdir(), 'smtp-sign-in-'));
  certificate = await makeTestCertificates(directory);
  exchange = await exchangeAccount();
});
afterAll(async () => {
  await exchange.entra.stop();
  await rm(directory, { recursive: true });
});

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

const openly = { tls: { starttls: 'never' } };
const password = { auth: { type: 'password', user: 'corpus', secret: 'corpus-smtp' } };
const secret: CredentialsContext = { secret: async () => 'swordfish' };

async function send(transport: MailTransport): Promise<Receipt> {
  cleanUp.push(() => transport.close());
  return transport.send(frozenMail(), sendOptions());
}

/** What a scripted server makes of an account's sign-in. Its script sees each line that carries a part of it. */
async function against(script: Script, config: object, context: CredentialsContext = secret) {
  const server = await startScriptedSmtp(script);
  cleanUp.push(() => server.stop());
  const transport = createSmtpTransport(smtpConfig({ port: server.port, ...openly, ...config }), {
    ...onThisMachine,
    ...context,
    maxConnections: 1,
  });
  return { receipt: await send(transport), server, again: () => send(transport) };
}

const offering = (...names: readonly string[]) => ({ extensions: [`AUTH ${names.join(' ')}`] });
const decoded = (line: string | undefined) => Buffer.from(line ?? '', 'base64').toString();

describe('mechanisms for passwords', () => {
  /** A server for CRAM-MD5 and the others on raw lines. */
  const cram: Script['answer'] = (step) =>
    step === 'AUTH' ? '334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+' : undefined;

  it('answers the challenge of CRAM-MD5, and never sends the password', async () => {
    const { receipt, server } = await against(
      {
        ...offering('CRAM-MD5', 'GSSAPI'),
        answer: (step, ...rest) => (step.startsWith('Y29') ? '235 in' : cram(step, ...rest)),
      },
      password,
    );
    expect(outcomes(receipt)).toEqual(['accepted']);
    expect(server.commands[1]).toBe('AUTH CRAM-MD5');
    expect(decoded(server.commands[2])).toMatch(/^corpus [0-9a-f]{32}$/);
    expect(server.commands.join()).not.toContain(Buffer.from('swordfish').toString('base64'));
  });

  it.each([
    [['PLAIN', 'LOGIN', 'CRAM-MD5'], undefined, 'PLAIN'],
    [['CRAM-MD5', 'LOGIN'], undefined, 'LOGIN'],
    [['PLAIN', 'LOGIN', 'CRAM-MD5'], ['CRAM-MD5', 'PLAIN'], 'CRAM-MD5'],
    [['PLAIN', 'LOGIN'], ['CRAM-MD5', 'LOGIN', 'PLAIN'], 'LOGIN'],
    [['XOAUTH2', 'PLAIN'], undefined, 'PLAIN'],
  ])('of %j takes, for an account with %j, %s', async (offered, mechanisms, taken) => {
    const { server } = await against(
      { ...offering(...offered), answer: (step) => (step === 'AUTH' ? '535 5.7.8 no' : undefined) },
      { auth: { ...password.auth, ...(mechanisms ? { mechanisms } : {}) } },
    );
    const auth = server.commands.filter((line) => line.startsWith('AUTH'));
    expect(auth.map((line) => line.split(' ')[1])).toEqual([taken]);
  });

  it('reads the old form of the offer, and ignores other words', async () => {
    const { server } = await against({ extensions: ['AUTH=LOGIN', 'X-AUTH PLAIN'] }, password);
    expect(server.commands[1]).toBe('AUTH LOGIN');
  });

  it('sends nothing where none of the account’s is offered, and names both lists', async () => {
    const { receipt, server } = await against(offering('GSSAPI', 'PLAIN', 'LOGIN'), {
      auth: { ...password.auth, mechanisms: ['CRAM-MD5'] },
    });
    expect(receipt.trouble).toMatchObject({ scope: 'account', code: 'NO_AUTH' });
    expect(receipt.trouble?.hint).toContain('GSSAPI, PLAIN, LOGIN');
    expect(receipt.trouble?.hint).toContain('CRAM-MD5');
    expect(server.commands.filter((line) => /^AUTH/.test(line))).toEqual([]);
  });

  it('cancels an exchange that makes no sense', async () => {
    const { receipt, server } = await against(
      {
        ...offering('LOGIN'),
        answer: (step) =>
          step === '*' ? '501 5.0.0 cancelled' : step === 'EHLO' || step === 'GREETING' ? undefined : '334 ',
      },
      password,
    );
    expect(receipt.trouble).toMatchObject({ scope: 'account', code: '501' });
    expect(
      server.commands.slice(1, 5).map((line) => (line === '*' || line.startsWith('AUTH') ? line : decoded(line))),
    ).toEqual(['AUTH LOGIN', 'corpus', 'swordfish', '*']);
  });
});

describe('a relay', () => {
  it('is not signed in to, whatever it offers (mail.smtp.auth=false)', async () => {
    const { receipt, server } = await against(offering('PLAIN', 'XOAUTH2'), { auth: { type: 'none' } });
    expect(outcomes(receipt)).toEqual(['accepted']);
    expect(server.commands.filter((line) => line.startsWith('AUTH'))).toEqual([]);
  });
});

describe('XOAUTH2', () => {
  /** A server that takes tokens of the Entra stand-in for Exchange, and no others. */
  const exchangeServer = (revoked: ReadonlySet<string>, seen: string[]): SMTPServerOptions => ({
    disabledCommands: [],
    key: certificate.key,
    cert: certificate.cert,
    authOptional: false,
    authMethods: ['XOAUTH2', 'PLAIN'],
    onAuth(auth, _session, done) {
      const token = auth.accessToken ?? '';
      seen.push(token);
      isExchangeToken(exchange.entra, token).then((good) => {
        if (auth.username === 'corpus@example.com' && !revoked.has(token) && good) {
          done(null, { user: auth.username });
        } else {
          done(null, { data: { status: '401', schemes: 'bearer', scope: 'smtp' } });
        }
      }, done);
    },
  });

  it('signs in with a token over TLS, and reuses it for the next connection', async () => {
    const seen: string[] = [];
    const subject = await startSmtpSubject({ server: exchangeServer(new Set(), seen), context: exchange.context });
    cleanUp.push(() => subject.stop());
    const config = { auth: exchange.auth('corpus@example.com'), tls: { ca: certificate.ca } };
    const issued = exchange.entra.issued;
    for (let n = 0; n < 2; n++) expect(outcomes(await send(subject.transportWith(config)))).toEqual(['accepted']);
    expect(seen).toHaveLength(2);
    expect(new Set(seen).size).toBe(1);
    expect(exchange.entra.issued - issued).toBe(1);
  });

  it('tries a kept token that is refused once more anew, and no more often', async () => {
    const seen: string[] = [];
    const revoked = new Set<string>();
    const subject = await startSmtpSubject({ server: exchangeServer(revoked, seen), context: exchange.context });
    cleanUp.push(() => subject.stop());
    const config = { auth: exchange.auth('corpus@example.com'), tls: { ca: certificate.ca } };
    await send(subject.transportWith(config));
    revoked.add(seen[0] ?? '');
    expect(outcomes(await send(subject.transportWith(config)))).toEqual(['accepted']);
    expect(new Set(seen).size).toBe(2);
    expect(seen).toHaveLength(3);
    const stranger = { auth: exchange.auth('somebody@example.com'), tls: { ca: certificate.ca } };
    const refused = await send(subject.transportWith(stranger));
    expect(refused.trouble).toMatchObject({ scope: 'account', code: '535' });
    expect(refused.trouble?.hint).toMatch(/SMTP\.SendAsApp.*enterprise application.*FullAccess/);
    expect(seen).toHaveLength(4);
  });

  it('never sends a token over an open connection unless starttls is never', async () => {
    const auth = exchange.auth('corpus@example.com');
    const open = await against(offering('XOAUTH2'), { auth, tls: { starttls: 'preferred' } }, exchange.context);
    expect(open.receipt.trouble).toMatchObject({ scope: 'account', code: 'UNENCRYPTED' });
    // It would not be sent then either: see `tokenRefusal`.
    expect(open.receipt.trouble?.hint).toMatch(/access token.*Use smtps\.$/);
    expect(open.server.commands.join()).not.toContain('XOAUTH2');
    const allowed = await against(offering('XOAUTH2'), { auth }, exchange.context);
    expect(outcomes(allowed.receipt)).toEqual(['accepted']);
    expect(allowed.server.commands[1]).toMatch(/^AUTH XOAUTH2 \S+$/);
  });

  it('is not tried where only passwords are offered', async () => {
    const { receipt, server } = await against(
      offering('PLAIN'),
      { auth: exchange.auth('a@example.com') },
      exchange.context,
    );
    expect(receipt.trouble).toMatchObject({ code: 'NO_AUTH', hint: expect.stringContaining('XOAUTH2') });
    expect(server.commands.filter((line) => line.startsWith('AUTH'))).toEqual([]);
  });

  it('takes the token out of what the server says, also the description of the refusal', async () => {
    let echo = '';
    const { receipt, server } = await against(
      {
        ...offering('XOAUTH2'),
        answer: (step, line) => {
          if (step === 'AUTH') {
            echo = line.split(' ')[2] ?? '';
            return `334 ${Buffer.from('{"status":"400"}').toString('base64')}`;
          }
          const token = /Bearer ([\w.-]+)/.exec(decoded(echo))?.[1];
          return step === '' ? `535 5.7.3 Authentication unsuccessful ${echo} ${token}` : undefined;
        },
      },
      { auth: exchange.auth('a@example.com') },
      exchange.context,
    );
    expect(server.commands[2]).toBe('');
    expect(receipt.trouble).toMatchObject({ scope: 'account', code: '535' });
    expect(receipt.trouble?.reply).toMatch(/^5\.7\.3 Authentication unsuccessful \*\*\*=* \*\*\*$/);
    expect(JSON.stringify(receipt)).not.toContain('eyJ');
  });
});

describe('what Exchange Online says', () => {
  const says = async (reply: string, by: 'token' | 'password') => {
    const auth = by === 'token' ? exchange.auth('a@example.com') : password.auth;
    const script: Script = { ...offering('PLAIN', 'XOAUTH2'), answer: (step) => (step === 'AUTH' ? reply : undefined) };
    return (await against(script, { auth }, by === 'token' ? exchange.context : secret)).receipt.trouble;
  };

  it.each([
    ['token', '535 5.7.3 Authentication unsuccessful [AM0PR01.eurprd01.prod.exchangelabs.com]', /New-ServicePrincipal/],
    [
      'token',
      '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled',
      /Set-CASMailbox -SmtpClientAuthenticationDisabled/,
    ],
    [
      'password',
      '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.',
      /Set-CASMailbox -SmtpClientAuthenticationDisabled/,
    ],
    ['password', '535 5.7.139 Authentication unsuccessful, basic authentication is disabled.', /oauth2/],
    ['password', '535 5.7.139 Authentication unsuccessful, the request did not meet the criteria', /policy/],
    ['password', '550 5.7.30 Basic authentication is not supported for Client Submission.', /oauth2/],
    ['password', '535 5.7.8 Authentication credentials invalid', /user and secret/],
  ] as const)('%s: %s', async (by, reply, hint) => {
    const trouble = await says(reply, by);
    expect(trouble).toMatchObject({ scope: 'account', code: reply.slice(0, 3), reply: reply.slice(4) });
    expect(trouble?.hint).toMatch(hint);
  });

  it.each(['token', 'password'] as const)('does not take its limit of connections for a refusal: %s', async (by) => {
    const issued = exchange.entra.issued;
    expect(await says('432 4.3.2 Concurrent connections limit exceeded.', by)).toMatchObject({ scope: 'throttled' });
    expect(exchange.entra.issued - issued).toBe(by === 'token' ? 1 : 0);
  });
});

describe('a failure that says nothing about the credentials (trap: called a bad password)', () => {
  const auth = () => exchange.auth('a@example.com');

  it('a server that is down, a name that does not resolve, a secret that is missing', async () => {
    const down = await send(
      createSmtpTransport(smtpConfig({ port: await closedPort(), ...password }), {
        ...onThisMachine,
        ...secret,
        maxConnections: 1,
      }),
    );
    expect(down.trouble).toMatchObject({ scope: 'connection', code: 'ECONNREFUSED' });
    const nowhere = await send(
      createSmtpTransport(smtpConfig({ host: 'no-such-host.invalid', ...password }), {
        ...onThisMachine,
        ...secret,
        maxConnections: 1,
      }),
    );
    expect(nowhere.trouble).toMatchObject({ scope: 'connection', code: expect.stringMatching(/^E(NOTFOUND|AI_)/) });
  });

  it('Entra ID out of reach, refusing the app, or without its secret; the mail server is not even asked', async () => {
    const at = (overrides: object): CredentialsContext => ({ ...exchange.context, overrides });
    const dns = await against(
      offering('XOAUTH2'),
      { auth: auth() },
      at({ authorityHost: 'https://no-such-host.invalid' }),
    );
    expect(dns.receipt.trouble).toMatchObject({
      scope: 'connection',
      code: expect.stringMatching(/^E(NOTFOUND|AI_)/),
    });
    const port = await closedPort();
    const closed = await against(
      offering('XOAUTH2'),
      { auth: auth() },
      at({ authorityHost: `https://localhost:${port}` }),
    );
    expect(closed.receipt.trouble).toMatchObject({ scope: 'connection', code: 'ECONNREFUSED' });
    const wrong = await against(
      offering('XOAUTH2'),
      { auth: auth() },
      { ...exchange.context, secret: async () => 'wrong' },
    );
    expect(wrong.receipt.trouble).toMatchObject({ scope: 'account', code: 'AADSTS7000215' });
    const missing = await against(
      offering('XOAUTH2'),
      { auth: auth() },
      { ...exchange.context, secret: () => Promise.reject(new Error('no')) },
    );
    expect(missing.receipt.trouble).toMatchObject({ scope: 'account', code: 'SECRET' });
    for (const { server } of [dns, closed, wrong, missing]) expect(server.connections()).toBe(0);
  });
});
