import { ManagedIdentityCredential } from '@azure/identity';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { makeCertificate } from '../certificate.ts';
import { type Entra, startEntra } from './entra.ts';
import { parseJwt } from './jwt.ts';
import { type ManagedIdentityEndpoint, startManagedIdentity } from './managed-identity.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const system = {
  tenantId,
  clientId: '55555555-5555-4555-8555-555555555555',
  systemAssigned: true,
  roles: ['Mail.Read'],
};
const own = { tenantId, clientId: '66666666-6666-4666-8666-666666666666', roles: ['Mail.Send'] };
const resource = 'https://graph.microsoft.com';
let entra: Entra;
let endpoint: ManagedIdentityEndpoint;

beforeAll(async () => {
  entra = await startEntra({ certificate: await makeCertificate(), apps: [] });
  endpoint = await startManagedIdentity({ entra, identities: [system, own] });
});

afterAll(async () => {
  await endpoint.stop();
  await entra.stop();
});

async function ask(query: Record<string, string>, header = endpoint.env.IDENTITY_HEADER) {
  const url = `${endpoint.env.IDENTITY_ENDPOINT}?${new URLSearchParams(query)}`;
  const answer = await fetch(url, { headers: { 'x-identity-header': header } });
  const body: unknown = await answer.json();
  return { status: answer.status, body };
}

test('the identity of the system is meant when none is named', async () => {
  const { status, body } = await ask({ 'api-version': '2019-08-01', resource });
  expect(status).toBe(200);
  expect(body).toEqual({
    access_token: expect.any(String),
    expires_on: expect.stringMatching(/^\d{10}$/),
    resource,
    token_type: 'Bearer',
    client_id: system.clientId,
  });
  const jwt = parseJwt(z.object({ access_token: z.string() }).parse(body).access_token);
  expect(jwt?.claims).toMatchObject({ aud: resource, appid: system.clientId, tid: tenantId, roles: ['Mail.Read'] });
  const key = entra.key(jwt?.header.kid ?? '');
  expect(key && (await jwt?.isSignedBy(key))).toBe(true);
});

test.each([
  ['a wrong header', { 'api-version': '2019-08-01', resource }, 'wrong', 401],
  ['another version', { 'api-version': '2017-09-01', resource }, undefined, 400],
  ['no resource', { 'api-version': '2019-08-01' }, undefined, 400],
  [
    'an identity that the app does not have',
    { 'api-version': '2019-08-01', resource, client_id: tenantId },
    undefined,
    400,
  ],
])('%s is refused', async (_, query, header, status) => {
  const answer = await ask(query as Record<string, string>, header);
  expect(answer).toEqual({
    status,
    body: { statusCode: status, message: expect.any(String), correlationId: expect.any(String) },
  });
});

test('the Azure SDK gets a token for the identity it names', async () => {
  const before = { ...process.env };
  Object.assign(process.env, endpoint.env);
  try {
    const credential = new ManagedIdentityCredential({ clientId: own.clientId, retryOptions: { maxRetries: 0 } });
    const { token } = await credential.getToken(`${resource}/.default`);
    expect(parseJwt(token)?.claims).toMatchObject({ aud: resource, appid: own.clientId, roles: ['Mail.Send'] });
  } finally {
    process.env = before;
  }
});
