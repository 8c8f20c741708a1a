import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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
const certificate = makeCertificate();
const appCertificate = makeCertificate(Date.now(), 'rsa');
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
    iss: `${entra.authorityHost}/${tenantId}/`,
    tid: tenantId,
    appid: clientId,
    roles: ['Mail.Send'],
  });
  const key = entra.key(jwt?.header.kid ?? '');
  expect(key && jwt?.isSignedBy(key)).toBe(true);

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
    await expect(credential(makeCertificate(Date.now(), 'rsa'))).rejects.toThrow(/AADSTS700027/);
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

test('a scope without /.default is refused', async () => {
  const credential = new ClientSecretCredential(tenantId, clientId, 'right', options());
  await expect(credential.getToken('https://graph.microsoft.com/Mail.Send')).rejects.toThrow(/AADSTS1002012/);
});

test('a client that does not trust the certificate does not hand over its secret', async () => {
  const { tlsOptions: _, ...untrusting } = options();
  const credential = new ClientSecretCredential(tenantId, clientId, 'right', untrusting);
  await expect(credential.getToken(scope)).rejects.toThrow();
});
