import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ExchangeAccount, exchangeAccount } from '../../../test/support/exchange-account.ts';
import { testSecret, trustTestServers } from '../../../test/support/scripted-graph.ts';
import { authSchema } from '../../accounts/model.ts';
import {
  type Credentials,
  type CredentialsContext,
  CredentialsError,
  readCredentials,
  withCredentials,
} from './credentials.ts';
import { credentialsStoreError } from './credentials-store-error.ts';
import type { SignInServer } from './sign-in-server.ts';
import { tokenRefusal } from './token-refusal.ts';

const never = new AbortController().signal;

let exchange: ExchangeAccount;
beforeAll(async () => {
  trustTestServers();
  exchange = await exchangeAccount();
});
afterAll(() => exchange.entra.stop());

const server = (auth: unknown, host = 'outlook.office365.com', more: Partial<SignInServer> = {}): SignInServer => ({
  protocol: 'imaps',
  host,
  auth: authSchema.parse(auth),
  tls: { starttls: 'preferred' },
  ...more,
});
const oauth2 = (host?: string) => server(exchange.auth('corpus@example.com'), host);
const byPassword = server({ type: 'password', user: 'corpus', secret: 'corpus-imap' });
const failing = (error: unknown): CredentialsContext => ({ secret: () => Promise.reject(error) });

async function failure(work: Promise<unknown>): Promise<CredentialsError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CredentialsError)) throw new Error('no CredentialsError', { cause: error });
  return error;
}

async function tokenOf(from = oauth2(), context = exchange.context) {
  const credentials = await readCredentials(from, context, never);
  if (credentials.kind !== 'token') throw new Error('no token');
  return credentials;
}

const audienceOf = (token: string): unknown =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).aud;

describe('readCredentials', () => {
  it('reads nothing where nothing is signed in with', async () => {
    expect(await readCredentials(server({ type: 'none' }), failing(new Error('asked')), never)).toEqual({
      kind: 'none',
    });
  });

  it('reads a password as it is', async () => {
    const read = (value: string) => readCredentials(byPassword, { secret: async () => value }, never);
    expect(await read(' pass\n')).toEqual({ kind: 'password', user: 'corpus', password: ' pass\n' });
    expect(await failure(read(''))).toMatchObject({ kind: 'secret', code: 'SECRET' });
  });

  it('says which secret is missing, and nothing of what Key Vault said', async () => {
    const error = await failure(readCredentials(byPassword, failing(new Error('the value is swordfish')), never));
    expect(error).toMatchObject({ kind: 'secret', code: 'SECRET', hint: expect.stringContaining('corpus-imap') });
    expect(JSON.stringify([error.message, error.hint, error.stack, error.cause])).not.toContain('swordfish');
  });

  it('answers the signal’s reason, and no failure of the secret, when it is stopped', async () => {
    const stopped = AbortSignal.abort(new Error('enough'));
    await expect(readCredentials(byPassword, failing(stopped.reason), stopped)).rejects.toThrow('enough');
    await expect(readCredentials(oauth2(), exchange.context, stopped)).rejects.toThrow('enough');
  });

  it('asks for a token of the server’s cloud, and keeps it', async () => {
    const from = oauth2();
    const [first, second] = [await tokenOf(from), await tokenOf(from)];
    expect(first).toMatchObject({ user: 'corpus@example.com', kept: false });
    expect(second).toMatchObject({ token: first.token, kept: true });
    expect(audienceOf(first.token)).toBe('https://outlook.office365.com');
    expect(audienceOf((await tokenOf(oauth2('outlook.office365.us'))).token)).toBe('https://outlook.office365.us');
  });

  it('distinguishes Entra ID refusing the app, being out of reach, and a missing secret (trap: a DNS error called a bad password)', async () => {
    const at = (authorityHost: string) => ({ ...exchange.context, overrides: { authorityHost } });
    const refused = failure(tokenOf(oauth2(), { ...exchange.context, secret: async () => 'wrong' }));
    const nowhere = failure(tokenOf(oauth2(), at('https://no-such-host.invalid')));
    const missing = failure(tokenOf(oauth2(), { ...exchange.context, secret: () => Promise.reject(new Error('no')) }));
    const errors = await Promise.all([refused, nowhere, missing]);
    expect(errors.map(({ kind }) => kind)).toEqual(['refused', 'temporary', 'secret']);
    expect(errors[1]?.code).toMatch(/^E(NOTFOUND|AI_)/);
    expect(errors.map((error) => credentialsStoreError(error, never).kind)).toEqual([
      'signIn',
      'connection',
      'connection',
    ]);
  });

  it('takes a throttle of Entra ID for one, and for how long', () => {
    const slow = new CredentialsError('temporary', 'slow down', {
      code: 'HTTP429',
      hint: '',
      status: 429,
      retryAfterMs: 9,
    });
    expect(credentialsStoreError(slow, never)).toMatchObject({ kind: 'throttled', retryAfterMs: 9 });
  });
});

describe('where an access token may go', () => {
  const refusal = (host: string, more: Partial<SignInServer> = {}, hosts: readonly string[] = []) => {
    const context = { ...exchange.context, tokenRefusal: tokenRefusal(hosts) };
    return failure(readCredentials(server(exchange.auth('a@example.com'), host, more), context, never));
  };

  it.each([
    'mail.example.com',
    'outlook.office365.com.example.com',
    'evil-outlook.office365.com',
    'x.outlook.office365.com',
    '127.0.0.1',
    'outlook.office365.org',
  ])('not to %s', async (host) => {
    expect(await refusal(host)).toMatchObject({ kind: 'secret', code: 'TOKEN_HOST' });
    expect((await refusal(host)).hint).toContain('MAIL_OAUTH2_HOSTS');
  });

  it.each([
    'outlook.office365.com',
    'SMTP.office365.com.',
    'outlook.office365.us',
    'smtp.office365.us',
    'outlook-dod.office365.us',
    'partner.outlook.cn',
    'smtp.partner.outlook.cn',
  ])('to %s', async (host) => {
    const context = { ...exchange.context, tokenRefusal: tokenRefusal() };
    expect(await readCredentials(server(exchange.auth('a@example.com'), host), context, never)).toMatchObject({
      kind: 'token',
    });
  });

  it('to a host that the operator allows, and nowhere unencrypted', async () => {
    const context = { ...exchange.context, tokenRefusal: tokenRefusal(['relay.example.com']) };
    const relay = server(exchange.auth('a@example.com'), 'Relay.example.com');
    expect(await readCredentials(relay, context, never)).toMatchObject({ kind: 'token' });
    for (const protocol of ['smtp', 'imap', 'pop3']) {
      const open = { protocol, tls: { starttls: 'never' } } as const;
      expect(await refusal('outlook.office365.com', open)).toMatchObject({ code: 'TOKEN_UNENCRYPTED' });
      expect(await refusal('relay.example.com', open, ['relay.example.com'])).toMatchObject({
        code: 'TOKEN_UNENCRYPTED',
      });
    }
  });
});

describe('withCredentials', () => {
  const refusal = new Error('refused');
  const isRefusal = (error: unknown) => error === refusal;

  /** Which tokens were tried; those that `refuses` names by their turn are refused. */
  async function tried(from: SignInServer, refuses: readonly number[]) {
    const used: Credentials[] = [];
    const result = await withCredentials(from, exchange.context, never, {
      attempt: async (credentials) => {
        used.push(credentials);
        if (refuses.includes(used.length)) throw refusal;
        return 'in';
      },
      isRefusal,
    }).catch((error: unknown) => error);
    return { result, used: used.map((each) => (each.kind === 'token' ? each.token : '')) };
  }

  it('tries a kept token that is refused once more anew', async () => {
    const from = oauth2();
    const kept = (await tokenOf(from)).token;
    const { result, used } = await tried(from, [1]);
    expect(result).toBe('in');
    expect(used[0]).toBe(kept);
    expect(used).toHaveLength(2);
    expect(used[1]).not.toBe(kept);
    expect((await tokenOf(from)).token).toBe(used[1]);
  });

  it('believes the refusal of a token that was made for it, and does not keep it', async () => {
    const from = oauth2();
    const { result, used } = await tried(from, [1]);
    expect(result).toBe(refusal);
    expect(used).toHaveLength(1);
    const next = await tried(from, [1, 2]);
    expect(next.used).toHaveLength(1);
    expect(next.used[0]).not.toBe(used[0]);
  });

  it('tries no third time', async () => {
    const from = oauth2();
    await tokenOf(from);
    const { result, used } = await tried(from, [1, 2, 3]);
    expect(result).toBe(refusal);
    expect(used).toHaveLength(2);
  });

  it('tries a refused password once', async () => {
    let attempts = 0;
    const attempt = async () => {
      attempts += 1;
      throw refusal;
    };
    const context = { secret: async () => testSecret };
    await expect(withCredentials(byPassword, context, never, { attempt, isRefusal })).rejects.toBe(refusal);
    expect(attempts).toBe(1);
  });
});
