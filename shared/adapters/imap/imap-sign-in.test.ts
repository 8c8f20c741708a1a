import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, startDovecot } from '../../../test/support/dovecot.ts';
import { type ExchangeAccount, exchangeAccount } from '../../../test/support/exchange-account.ts';
import { closedPort, imapConfig } from '../../../test/support/imap-fixture.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { trustTestServers } from '../../../test/support/scripted-graph.ts';
import { type ImapScript, startScriptedImap } from '../../../test/support/scripted-imap.ts';
import { type StallProxy, startStallProxy } from '../../../test/support/stall-proxy.ts';
import { never } from '../../../test/support/store-helpers.ts';
import { startTokenIntrospection, type TokenIntrospection } from '../../../test/support/token-introspection.ts';
import type { CredentialsContext } from '../sign-in/credentials.ts';
import type { StoreError } from '../store.ts';
import { openError } from './imap-errors.ts';
import { createImapStore } from './store/imap-store.ts';

const secret: CredentialsContext = { secret: async () => 'secret', ...onThisMachine };
const password = { type: 'password', user: 'tester', secret: 'corpus-imap' };

/** Opens a session, looks at a folder and leaves. */
async function opens(settings: Readonly<Record<string, unknown>>, context: CredentialsContext): Promise<string> {
  const session = await createImapStore(imapConfig(settings), context).open({ signal: never });
  try {
    return await session.scope('INBOX', never);
  } finally {
    await session.close();
  }
}

const failure = (settings: Readonly<Record<string, unknown>>, context: CredentialsContext): Promise<StoreError> =>
  opens(settings, context).then(
    () => expect.unreachable('it must not open'),
    (error: StoreError) => error,
  );

let exchange: ExchangeAccount;
beforeAll(async () => {
  trustTestServers();
  exchange = await exchangeAccount();
});
afterAll(() => exchange.entra.stop());

describe('signing in to Dovecot', () => {
  let introspection: TokenIntrospection;
  let dovecot: Dovecot;
  /** Sees the dialogue. */
  let proxy: StallProxy;
  beforeAll(async () => {
    introspection = await startTokenIntrospection(exchange.entra, 'tester');
    dovecot = await startDovecot({ introspectionUrl: introspection.url });
    proxy = await startStallProxy({ host: dovecot.host, port: dovecot.ports.imap });
  });
  afterAll(async () => {
    await proxy?.stop();
    await dovecot?.remove();
    await introspection?.stop();
  });
  afterEach(() => proxy.reset());

  const openly = () => ({ port: proxy.port, tls: { starttls: 'never' } });
  const commands = () => proxy.sent().filter((line) => /^\w+ (AUTHENTICATE|LOGIN)/.test(line));

  it.each([
    [undefined, 'AUTHENTICATE PLAIN'],
    [['PLAIN'], 'AUTHENTICATE PLAIN'],
    [['LOGIN', 'PLAIN'], 'AUTHENTICATE LOGIN'],
    [['CRAM-MD5', 'PLAIN'], 'AUTHENTICATE CRAM-MD5'],
  ])('by a password, for an account with the mechanisms %j: %s', async (mechanisms, command) => {
    const auth = { ...password, ...(mechanisms ? { mechanisms } : {}) };
    expect(await opens({ ...openly(), auth }, secret)).toMatch(/^INBOX;/);
    expect(commands()).toHaveLength(1);
    expect(commands()[0]).toContain(` ${command}`);
    const wrong = await failure({ ...openly(), auth }, { ...secret, secret: async () => 'wrong-password' });
    expect(wrong).toMatchObject({ kind: 'signIn', code: 'AUTHENTICATIONFAILED' });
    expect(commands()).toHaveLength(2);
  });

  it.each([
    ['LOGIN', true],
    ['CRAM-MD5', false],
  ])('by %s the password itself crosses the line: %s', async (mechanism, crosses) => {
    const auth = { ...password, mechanisms: [mechanism] };
    expect(await opens({ ...openly(), auth }, secret)).toMatch(/^INBOX;/);
    expect(proxy.sent().join().includes(Buffer.from('secret').toString('base64'))).toBe(crosses);
  });

  it('by a token, over STARTTLS and over TLS from the start, one token for all', async () => {
    const auth = exchange.auth('tester');
    const issued = exchange.entra.issued;
    const tls = { ca: dovecot.certificates.ca };
    expect(await opens({ port: dovecot.ports.imap, auth, tls }, exchange.context)).toMatch(/^INBOX;/);
    expect(await opens({ protocol: 'imaps', port: dovecot.ports.imaps, auth, tls }, exchange.context)).toMatch(
      /^INBOX;/,
    );
    expect(exchange.entra.issued - issued).toBe(1);
    expect(new Set(introspection.asked.slice(-2)).size).toBe(1);
  });

  it('tries a kept token that is refused once more anew', async () => {
    const settings = { ...openly(), auth: exchange.auth('tester') };
    await opens(settings, exchange.context);
    introspection.revoke(introspection.asked.at(-1) ?? '');
    const before = commands().length;
    expect(await opens(settings, exchange.context)).toMatch(/^INBOX;/);
    expect(commands().length - before).toBe(2);
  });

  it('believes the refusal of a token made for it, and never says the token', async () => {
    const settings = { ...openly(), auth: exchange.auth('somebody-else') };
    const error = await failure(settings, exchange.context);
    expect(error).toMatchObject({ kind: 'signIn' });
    expect(error.hint).toMatch(/IMAP\.AccessAsApp.*enterprise application.*FullAccess/);
    expect(commands()).toHaveLength(1);
    // The description of the refusal is answered with an empty line, or the tagged NO would never have come.
    const token = introspection.asked.at(-1) ?? 'none';
    expect(JSON.stringify([error, error.message, error.stack, error.cause])).not.toContain(token);
  });

  it('never sends a token over an open connection unless starttls is never', async () => {
    const bare = await startStallProxy({
      host: dovecot.host,
      port: dovecot.ports.imap,
      hideCapabilities: ['STARTTLS'],
    });
    try {
      const settings = { port: bare.port, auth: exchange.auth('tester'), tls: { starttls: 'preferred' } };
      expect(await failure(settings, exchange.context)).toMatchObject({
        code: 'STARTTLS_UNAVAILABLE',
        hint: expect.stringMatching(/access token.*Use imaps\.$/),
      });
      expect(bare.sent().join()).not.toContain('AUTHENTICATE');
    } finally {
      await bare.stop();
    }
  });
});

describe('what a server offers', () => {
  /** A server that says what `script` does; the dialogue is open. */
  async function against(script: ImapScript, auth: object = password, context: CredentialsContext = secret) {
    const server = await startScriptedImap(script);
    try {
      const settings = { port: server.port, tls: { starttls: 'never' }, auth, timeout: 5_000 };
      const outcome = await opens(settings, context).catch((error: StoreError) => error);
      return { outcome, commands: server.commands() };
    } finally {
      await server.stop();
    }
  }
  const offering = (...names: readonly string[]): ImapScript => ({
    CAPABILITY: (tag) => `* CAPABILITY IMAP4rev1 ${names.join(' ')}\r\n${tag} OK done\r\n`,
  });
  const begun = (commands: readonly string[]) =>
    commands
      .filter((line) => /^(AUTHENTICATE|LOGIN)\b/.test(line))
      .map((line) => line.split(' ').slice(0, 2).join(' '));

  it.each([
    [[], undefined, 'LOGIN "tester"'],
    [['AUTH=GSSAPI'], undefined, 'LOGIN "tester"'],
    [['AUTH=GSSAPI', 'AUTH=LOGIN'], undefined, 'AUTHENTICATE LOGIN'],
    [['AUTH=PLAIN', 'LOGINDISABLED'], undefined, 'AUTHENTICATE PLAIN'],
    [['AUTH=CRAM-MD5', 'LOGINDISABLED'], undefined, 'AUTHENTICATE CRAM-MD5'],
    [['AUTH=PLAIN'], ['LOGIN'], 'LOGIN "tester"'],
  ])('of %j takes, for an account with %j, %s', async (offered, mechanisms, taken) => {
    const { commands } = await against(
      { ...offering(...offered), AUTHENTICATE: (tag) => `${tag} NO no\r\n` },
      { ...password, ...(mechanisms ? { mechanisms } : {}) },
    );
    expect(begun(commands)).toEqual([taken]);
  });

  it('takes the LOGIN command for the mailbox of somebody else on Exchange', async () => {
    const { outcome, commands } = await against(offering('AUTH=PLAIN'), { ...password, user: 'corp\\admin\\info' });
    expect(outcome).toMatch(/^INBOX;/);
    expect(begun(commands)).toEqual(['LOGIN "corp\\\\admin\\\\info"']);
  });

  it.each([
    [
      ['AUTH=PLAIN', 'AUTH=GSSAPI'],
      { ...password, mechanisms: ['CRAM-MD5'] },
      'NO_AUTH',
      /PLAIN, GSSAPI, LOGIN.*CRAM-MD5/,
    ],
    [['AUTH=GSSAPI', 'LOGINDISABLED'], password, 'LOGINDISABLED', /GSSAPI only/],
    [['LOGINDISABLED'], password, 'LOGINDISABLED', /no sign-in/],
    [[], { type: 'none' }, 'NO_AUTH', /auth/],
  ])(
    'sends nothing where none of the account’s is among %j, and names both lists',
    async (offered, auth, code, hint) => {
      const { outcome, commands } = await against(offering(...offered), auth);
      expect(outcome).toMatchObject({ kind: 'permission', code, hint: expect.stringMatching(hint) });
      expect(begun(commands)).toEqual([]);
    },
  );

  it('does not try a token where only passwords are taken', async () => {
    const { outcome, commands } = await against(
      offering('AUTH=PLAIN'),
      exchange.auth('a@example.com'),
      exchange.context,
    );
    expect(outcome).toMatchObject({ code: 'NO_AUTH', hint: expect.stringContaining('XOAUTH2') });
    expect(begun(commands)).toEqual([]);
  });

  it('sends the token on a line of its own where the server knows no SASL-IR (RFC 4959)', async () => {
    let tag = '';
    const { outcome, commands } = await against(
      {
        ...offering('AUTH=XOAUTH2'),
        AUTHENTICATE: (of) => {
          tag = of;
          return '+ \r\n';
        },
        // The only line with a single word.
        '': () => `${tag} OK in\r\n`,
      },
      exchange.auth('a@example.com'),
      exchange.context,
    );
    expect(outcome).toMatch(/^INBOX;/);
    expect(commands).toContain('AUTHENTICATE XOAUTH2');
  });

  it.each([
    ['NO AUTHENTICATE failed.', 'signIn', /New-ServicePrincipal/],
    ['NO [AUTHENTICATIONFAILED] no', 'signIn', /New-ServicePrincipal/],
    ['BAD User is authenticated but not connected.', 'permission', /FullAccess/],
    ['NO [UNAVAILABLE] later', 'connection', /pass/],
    ['BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds', 'throttled', /slow down|limit/i],
  ] as const)('hears of a token what Exchange means by %s', async (answer, kind, hint) => {
    const { outcome } = await against(
      { ...offering('AUTH=XOAUTH2', 'SASL-IR'), AUTHENTICATE: (tag) => `${tag} ${answer}\r\n` },
      exchange.auth('a@example.com'),
      exchange.context,
    );
    expect(outcome).toMatchObject({ name: 'StoreError', kind });
    expect((outcome as StoreError).hint).toMatch(hint);
  });

  it('says of a password that Exchange Online refuses what it takes instead', () => {
    const refused = { authenticationFailed: true, responseStatus: 'NO', responseText: 'LOGIN failed.' };
    const by = (host: string) => openError(refused, { target: `${host}:993`, host, by: 'password' });
    expect(by('outlook.office365.com')).toMatchObject({ kind: 'signIn', hint: expect.stringContaining('oauth2') });
    expect(by('outlook.office365.us').hint).toContain('oauth2');
    expect(by('mail.example.com').hint).not.toContain('oauth2');
  });

  it('hears that there is no mailbox behind a sign-in, also when that is said later', async () => {
    const later: ImapScript = {
      CAPABILITY: (tag) => `* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR NAMESPACE\r\n${tag} OK done\r\n`,
      AUTHENTICATE: (tag) => `${tag} OK AUTHENTICATE completed.\r\n`,
      NAMESPACE: (tag) => `${tag} BAD User is authenticated but not connected.\r\n`,
    };
    const { outcome } = await against(later, exchange.auth('a@example.com'), exchange.context);
    expect(outcome).toMatchObject({
      kind: 'permission',
      code: 'NOT_CONNECTED',
      hint: expect.stringContaining('FullAccess'),
    });
  });
});

describe('a failure that says nothing about the credentials (trap: called a bad password)', () => {
  it('a server that is down, a name that does not resolve, a secret that is missing', async () => {
    const down = { port: await closedPort(), tls: { starttls: 'never' } };
    expect(await failure(down, secret)).toMatchObject({ kind: 'connection', code: 'ECONNREFUSED' });
    expect(await failure({ host: 'no-such-host.invalid' }, secret)).toMatchObject({
      kind: 'connection',
      code: expect.stringMatching(/^E(NOTFOUND|AI_)/),
    });
    const missing = await failure(down, { secret: () => Promise.reject(new Error('no')) });
    expect(missing).toMatchObject({ kind: 'connection', code: 'SECRET', hint: expect.stringContaining('corpus-imap') });
  });

  it('Entra ID out of reach, refusing the app, or without its secret; the mail server is not even asked', async () => {
    const settings = () => ({ port: 1, auth: exchange.auth('a@example.com') });
    const at = (authorityHost: string): CredentialsContext => ({ ...exchange.context, overrides: { authorityHost } });
    expect(await failure(settings(), at('https://no-such-host.invalid'))).toMatchObject({
      kind: 'connection',
      code: expect.stringMatching(/^E(NOTFOUND|AI_)/),
    });
    const refused = await failure(settings(), { ...exchange.context, secret: async () => 'wrong' });
    expect(refused).toMatchObject({ kind: 'signIn', code: 'AADSTS7000215' });
    expect(refused.hint).not.toContain('Graph');
    const missing = await failure(settings(), { ...exchange.context, secret: () => Promise.reject(new Error('no')) });
    expect(missing).toMatchObject({ kind: 'connection', code: 'SECRET' });
    const stopped = createImapStore(imapConfig(settings()), exchange.context);
    await expect(stopped.open({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });
});
