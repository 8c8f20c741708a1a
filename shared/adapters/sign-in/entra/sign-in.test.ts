import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeCertificate } from '../../../../local/certificate.ts';
import { type Entra, startEntra } from '../../../../local/entra/entra.ts';
import { startManagedIdentity } from '../../../../local/entra/managed-identity.ts';
import { closedPort } from '../../../../test/support/imap-fixture.ts';
import {
  json,
  type ScriptedServer,
  serverCertificate,
  startScriptedServer,
  testClient,
  testSecret,
  testTenant,
  trustTestServers,
} from '../../../../test/support/scripted-graph.ts';
import type { GraphCredential } from '../../../accounts/model.ts';
import { CredentialsError } from '../credentials-error.ts';
import { exchangePlace, type TokenPlace } from './place.ts';
import { signInFor } from './sign-in.ts';

const never = new AbortController().signal;
const rsa = await makeCertificate(Date.now(), 'rsa');

let entra: Entra;
let server: ScriptedServer;

beforeAll(async () => {
  trustTestServers();
  entra = await startEntra({
    certificate: serverCertificate,
    apps: [{ tenantId: testTenant, clientId: testClient, secret: testSecret, certificate: rsa.cert }],
  });
  server = await startScriptedServer((_, response) => json(response, 500, {}));
});
afterAll(async () => {
  await server.stop();
  await entra.stop();
});

const place = (authorityHost = entra.authorityHost): TokenPlace => ({
  authorityHost,
  privateAuthority: true,
  scope: 'https://graph.microsoft.com/.default',
  resource: 'Microsoft Graph',
});

function credential(
  changes: Partial<{ tenantId: string; clientId: string; type: 'certificate' }> = {},
): GraphCredential {
  return {
    type: 'clientSecret',
    tenantId: testTenant,
    clientId: testClient,
    secret: `corpus-${randomUUID()}`,
    ...changes,
  };
}

async function failure(work: Promise<unknown>): Promise<CredentialsError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CredentialsError)) throw new Error('no CredentialsError', { cause: error });
  return error;
}

async function tokenOf(config: GraphCredential, secret: string, authorityHost?: string, limitMs?: number) {
  const signIn = await signInFor(config, place(authorityHost), async () => secret, { signal: never, limitMs });
  return (await signIn.token(never)).value;
}

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

describe('signInFor', () => {
  it('asks for a token for the cloud’s Graph, once, and keeps it', async () => {
    const config = credential();
    const issued = entra.issued;
    const tokens = await Promise.all([tokenOf(config, testSecret), tokenOf(config, testSecret)]);
    tokens.push(await tokenOf(config, testSecret));
    expect(new Set(tokens).size).toBe(1);
    expect(entra.issued - issued).toBe(1);
    expect(claimsOf(tokens[0] ?? '')).toMatchObject({ aud: 'https://graph.microsoft.com', appid: testClient });
  });

  it('uses a rotated secret as soon as it is read', async () => {
    const config = credential();
    expect((await failure(tokenOf(config, 'the-old-one'))).code).toBe('AADSTS7000215');
    expect(await tokenOf(config, `${testSecret}\n`)).toBeTruthy();
  });

  it('signs in by a certificate in PEM', async () => {
    const token = await tokenOf(credential({ type: 'certificate' }), `${rsa.cert}\n${rsa.key}`);
    expect(claimsOf(token)).toMatchObject({ appidacr: '2' });
  });

  it.each([
    ['a wrong secret', {}, 'AADSTS7000215', /secret/],
    ['an unknown app', { clientId: '00000000-0000-0000-0000-000000000001' }, 'AADSTS700016', /clientId/],
    ['an unknown tenant', { tenantId: '00000000-0000-0000-0000-000000000002' }, 'AADSTS90002', /tenantId/],
  ])('says what is wrong with %s, and never says the secret', async (_, changes, code, hint) => {
    const error = await failure(tokenOf(credential(changes), 'wrong-secret-value'));
    expect(error).toMatchObject({ kind: 'refused', code });
    expect(error.hint).toMatch(hint);
    expect(JSON.stringify([error.message, error.hint, error.stack, error.cause])).not.toContain('wrong-secret-value');
  });

  it('does not call an unreachable token endpoint a refusal', async () => {
    const error = await failure(tokenOf(credential(), testSecret, `https://localhost:${await closedPort()}`));
    expect(error).toMatchObject({ kind: 'temporary', code: 'ECONNREFUSED' });
    const unknown = await failure(tokenOf(credential(), testSecret, 'https://no-such-host.invalid'));
    expect(unknown.kind).toBe('temporary');
    expect(unknown.code).toMatch(/^E(NOTFOUND|AI_)/);
  });

  it.each([500, 503, 429])('does not call an answer of %i a refusal, and asks once', async (status) => {
    server.script((request, response) => {
      if (request.method === 'POST')
        json(response, status, { error: 'temporarily_unavailable' }, { 'retry-after': '7' });
      else openId(server.origin, response);
    });
    const before = server.requests.filter(({ method }) => method === 'POST').length;
    const error = await failure(tokenOf(credential(), testSecret, server.origin));
    expect(error).toMatchObject({ kind: 'temporary', status, retryAfterMs: 7_000 });
    expect(server.requests.filter(({ method }) => method === 'POST').length - before).toBe(1);
  });

  it('gives up on a token endpoint that is silent, and at once when it is asked to', async () => {
    server.script(() => undefined);
    const error = await failure(tokenOf(credential(), testSecret, server.origin, 300));
    expect(error).toMatchObject({ kind: 'temporary', code: 'ETIMEDOUT' });
    const signIn = await signInFor(credential(), place(server.origin), async () => testSecret, { signal: never });
    await expect(signIn.token(AbortSignal.timeout(100))).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('says which token was there already, and asks anew for one that was refused', async () => {
    const signIn = await signInFor(credential(), place(), async () => testSecret, { signal: never });
    const issued = entra.issued;
    const first = await signIn.token(never);
    expect(first.kept).toBe(false);
    expect(await signIn.token(never)).toEqual({ value: first.value, kept: true });
    signIn.refused('another token');
    expect((await signIn.token(never)).kept).toBe(true);
    signIn.refused(first.value);
    expect((await signIn.token(never)).kept).toBe(false);
    expect(entra.issued - issued).toBe(2);
  });

  it('speaks of Exchange, and not of Graph, where the token is for Exchange', async () => {
    const exchange = exchangePlace('outlook.office365.com', { authorityHost: entra.authorityHost });
    const clientId = randomUUID();
    entra.register({ tenantId: testTenant, clientId, secret: testSecret, consented: false });
    const hints = await Promise.all(
      [credential({ clientId }), credential({ tenantId: randomUUID() })].map(async (config) => {
        const signIn = await signInFor(config, exchange, async () => testSecret, { signal: never });
        return (await failure(signIn.token(never))).hint;
      }),
    );
    expect(hints[0]).toContain('IMAP.AccessAsApp');
    expect(hints[1]).toContain('host');
    expect(hints.join()).not.toMatch(/Graph|\bcloud\./);
  });

  it('signs in as the identity that Azure manages for the app', async () => {
    const identity = { tenantId: testTenant, clientId: '55555555-5555-4555-8555-555555555555', systemAssigned: true };
    const endpoint = await startManagedIdentity({ entra, identities: [identity] });
    try {
      for (const [name, value] of Object.entries(endpoint.env)) vi.stubEnv(name, value);
      expect(claimsOf(await tokenOf({ type: 'managedIdentity' }, ''))).toMatchObject({ appid: identity.clientId });
      const unknown = { type: 'managedIdentity' as const, clientId: '00000000-0000-0000-0000-000000000003' };
      const error = await failure(tokenOf(unknown, ''));
      expect(error).toMatchObject({ kind: 'refused' });
      expect(error.hint).toBeTruthy();
    } finally {
      vi.unstubAllEnvs();
      await endpoint.stop();
    }
  });

  it('distinguishes a secret that cannot be read from a refused one', async () => {
    const missing = signInFor(
      credential(),
      place(),
      async () => {
        throw new Error('Key Vault is away');
      },
      { signal: never },
    );
    expect(await failure(missing)).toMatchObject({ kind: 'secret', code: 'SECRET' });
    const error = await failure(tokenOf(credential({ type: 'certificate' }), 'no certificate'));
    expect(error).toMatchObject({ kind: 'secret', code: 'CERTIFICATE' });
  });
});

function openId(origin: string, response: Parameters<Parameters<typeof startScriptedServer>[0]>[1]): void {
  const base = `${origin}/${testTenant}`;
  json(response, 200, {
    issuer: `${base}/v2.0`,
    token_endpoint: `${base}/oauth2/v2.0/token`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
  });
}
