import { constants, createHash, randomUUID, sign, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientCertificateCredential, ClientSecretCredential } from '@azure/identity';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificate } from '../certificate.ts';
import { type Entra, startEntra } from './entra.ts';
import { parseJwt } from './jwt.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const otherTenantId = '33333333-3333-4333-8333-333333333333';
const clientId = '22222222-2222-4222-8222-222222222222';
const scope = 'https://graph.microsoft.com/.default';
const certificate = await makeCertificate();
const appCertificate = await makeCertificate(Date.now(), 'rsa');
let entra: Entra;

beforeAll(async () => {
  const app = { tenantId, clientId, secret: 'right', certificate: appCertificate.cert, roles: ['Mail.Send'] };
  entra = await startEntra({ certificate, apps: [app] });
});

afterAll(() => entra.stop());

const options = () => ({
  authorityHost: entra.authorityHost,
  disableInstanceDiscovery: true,
  tlsOptions: { ca: certificate.ca },
  retryOptions: { maxRetries: 0 },
});

test('a client with the right secret gets a token for the resource, and keeps it', async () => {
  const before = entra.issued;
  const credential = new ClientSecretCredential(tenantId, clientId, 'right', options());
  const { token, expiresOnTimestamp } = await credential.getToken(scope);
  expect(expiresOnTimestamp).toBeGreaterThan(Date.now() + 3_000_000);
  const jwt = parseJwt(token);
  expect(jwt?.claims).toMatchObject({
    aud: 'https://graph.microsoft.com',
    iss: `https://sts.windows.net/${tenantId}/`,
    tid: tenantId,
    appid: clientId,
    roles: ['Mail.Send'],
  });
  const key = entra.key(jwt?.header.kid ?? '');
  expect(key && (await jwt?.isSignedBy(key))).toBe(true);

  expect((await credential.getToken(scope)).token).toBe(token);
  expect(entra.issued - before).toBe(1);
});

test('a client with a certificate gets a token; one with another certificate does not', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'entra-'));
  try {
    const credential = async (pem: { cert: string; key: string }) => {
      const certificatePath = join(directory, 'app.pem');
      await writeFile(certificatePath, `${pem.key}\n${pem.cert}`);
      return new ClientCertificateCredential(tenantId, clientId, { certificatePath }, options()).getToken(scope);
    };
    expect(parseJwt((await credential(appCertificate)).token)?.claims).toMatchObject({ appidacr: '2' });
    await expect(credential(await makeCertificate(Date.now(), 'rsa'))).rejects.toThrow(/AADSTS700027/);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test.each([
  ['a wrong secret', tenantId, clientId, 'wrong', /AADSTS7000215/],
  ['an unknown app', tenantId, otherTenantId, 'right', /AADSTS700016/],
  ['an unknown tenant', otherTenantId, clientId, 'right', /AADSTS90002|endpoints_resolution_error/],
])('%s is refused as Entra refuses it', async (_, tenant, client, secret, message) => {
  const credential = new ClientSecretCredential(tenant, client, secret, options());
  await expect(credential.getToken(scope)).rejects.toThrow(message);
});

const lateApp = { tenantId, clientId: '44444444-4444-4444-8444-444444444444' };

test('a secret counts until it expires, and a new one after it was registered', async () => {
  const token = (secret: string) =>
    new ClientSecretCredential(tenantId, lateApp.clientId, secret, options()).getToken(scope);
  entra.register({ ...lateApp, secret: 'old', secretExpiresAt: Date.now() + 60_000 });
  await expect(token('old')).resolves.toMatchObject({ token: expect.any(String) });
  entra.register({ ...lateApp, secret: 'old', secretExpiresAt: Date.now() - 1 });
  await expect(token('old')).rejects.toThrow(/AADSTS7000222/);
  await expect(token('older')).rejects.toThrow(/AADSTS7000215/);
  entra.register({ ...lateApp, secret: 'new' });
  await expect(token('new')).resolves.toMatchObject({ token: expect.any(String) });
});

test('an app without consent gets no token; one without roles gets a token without the claim', async () => {
  const credential = () => new ClientSecretCredential(tenantId, lateApp.clientId, 'new', options());
  entra.register({ ...lateApp, secret: 'new', roles: ['Mail.Read'], consented: false });
  await expect(credential().getToken(scope)).rejects.toThrow(/AADSTS65001/);
  entra.register({ ...lateApp, secret: 'new', roles: [] });
  expect(parseJwt((await credential().getToken(scope)).token)?.claims).not.toHaveProperty('roles');
});

test('a second certificate of an app counts beside the first', async () => {
  const next = await makeCertificate(Date.now(), 'rsa');
  const directory = await mkdtemp(join(tmpdir(), 'entra-'));
  try {
    const certificatePath = join(directory, 'app.pem');
    await writeFile(certificatePath, `${next.key}\n${next.cert}`);
    const credential = () =>
      new ClientCertificateCredential(tenantId, lateApp.clientId, { certificatePath }, options());
    entra.register({ ...lateApp, certificate: appCertificate.cert });
    await expect(credential().getToken(scope)).rejects.toThrow(/AADSTS700027/);
    entra.register({ ...lateApp, certificate: appCertificate.cert, certificates: [next.cert] });
    await expect(credential().getToken(scope)).resolves.toMatchObject({ token: expect.any(String) });
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('the lifetime of tokens can be changed', async () => {
  entra.setTokenLifetime(30);
  try {
    entra.register({ ...lateApp, secret: 'new' });
    const credential = new ClientSecretCredential(tenantId, lateApp.clientId, 'new', options());
    expect((await credential.getToken(scope)).expiresOnTimestamp).toBeLessThan(Date.now() + 31_000);
  } finally {
    entra.setTokenLifetime(3599);
  }
});

test('a refusal has the body of Entra', async () => {
  const answer = await post({ client_id: clientId, client_secret: 'wrong', grant_type: 'client_credentials', scope });
  expect(answer).toEqual({
    status: 401,
    body: {
      error: 'invalid_client',
      error_description: expect.stringMatching(/^AADSTS7000215: .*Trace ID: \S+ Correlation ID: \S+ Timestamp: /),
      error_codes: [7000215],
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/),
      trace_id: expect.any(String),
      correlation_id: expect.any(String),
      error_uri: expect.stringContaining('7000215'),
    },
  });
  expect(JSON.stringify(answer)).not.toContain('wrong');
});

test.each(['RS256', 'PS256'] as const)(
  'an assertion signed with %s and named by either thumbprint counts',
  async (alg) => {
    const raw = new X509Certificate(appCertificate.cert).raw;
    const thumbprint = (hash: string) => createHash(hash).update(raw).digest('base64url');
    for (const name of [{ x5t: thumbprint('sha1') }, { 'x5t#S256': thumbprint('sha256') }]) {
      expect((await post(assertionForm(alg, name))).status).toBe(200);
    }
    const swapped = await post(assertionForm(alg, { x5t: thumbprint('sha256') }));
    expect(swapped.body).toMatchObject({ error_codes: [700027] });
  },
);

function assertionForm(alg: 'RS256' | 'PS256', name: Record<string, string>): Record<string, string> {
  const now = Math.floor(Date.now() / 1000);
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const aud = `${entra.authorityHost}/${tenantId}/oauth2/v2.0/token`;
  const claims = { iss: clientId, sub: clientId, aud, nbf: now, exp: now + 300, jti: randomUUID() };
  const content = `${encode({ alg, typ: 'JWT', ...name })}.${encode(claims)}`;
  const padding =
    alg === 'RS256'
      ? { padding: constants.RSA_PKCS1_PADDING }
      : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  const signature = sign('sha256', Buffer.from(content), { key: appCertificate.key, ...padding });
  return {
    client_id: clientId,
    grant_type: 'client_credentials',
    scope,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: `${content}.${signature.toString('base64url')}`,
  };
}

/** Asks the token endpoint as a plain client would. */
function post(form: Record<string, string>): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${entra.authorityHost}/${tenantId}/oauth2/v2.0/token`,
      { method: 'POST', ca: certificate.ca, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      async (response) => {
        const body: unknown = JSON.parse(Buffer.concat(await response.toArray()).toString('utf8'));
        resolve({ status: response.statusCode ?? 0, body });
      },
    );
    sent.on('error', reject);
    sent.end(new URLSearchParams(form).toString());
  });
}

test('a scope without /.default is refused', async () => {
  const credential = new ClientSecretCredential(tenantId, clientId, 'right', options());
  await expect(credential.getToken('https://graph.microsoft.com/Mail.Send')).rejects.toThrow(/AADSTS1002012/);
});

test('a client that does not trust the certificate does not hand over its secret', async () => {
  const { tlsOptions: _, ...untrusting } = options();
  const credential = new ClientSecretCredential(tenantId, clientId, 'right', untrusting);
  await expect(credential.getToken(scope)).rejects.toThrow();
});
