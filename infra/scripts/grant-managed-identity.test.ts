import { afterEach, beforeEach, expect, it } from 'vitest';
import { exchangeApi, graphApi, identity, Tenant } from './support/tenant.ts';

let tenant: Tenant;
beforeEach(async () => {
  tenant = await Tenant.start();
});
afterEach(() => tenant.stop());

const grant = (id: string, ...more: readonly string[]) =>
  tenant.run('grant-managed-identity.sh', '--principal-id', id, ...more);

it('gives the app roles to the identity, once, and makes no secret', async () => {
  const permissions = ['--permissions', 'Mail.ReadWrite,Mail.Send,IMAP.AccessAsApp'];
  const dry = await grant(identity.id, ...permissions, '--dry-run');
  expect(dry.calls.filter(({ writes }) => writes)).toEqual([]);
  const run = await grant(identity.id, ...permissions);
  expect(run).toMatchObject({ code: 0 });
  const { assignments, secrets, apps } = tenant.az;
  expect(assignments.map(({ principalId }) => principalId)).toEqual(Array(3).fill(identity.id));
  expect(assignments.map(({ resourceId }) => resourceId)).toEqual([graphApi.id, graphApi.id, exchangeApi.id]);
  expect({ secrets, apps }).toEqual({ secrets: {}, apps: [] });
  expect(run.output).toContain(`{ "type": "managedIdentity", "clientId": "${identity.appId}" }`);
  expect((await grant(identity.id, ...permissions)).calls.filter(({ writes }) => writes)).toEqual([]);
});

it('--scoped leaves Microsoft Graph to Exchange', async () => {
  expect(await grant(identity.id, '--scoped')).toMatchObject({ code: 0 });
  expect(tenant.az.assignments).toEqual([]);
});

it('refuses an id that is no managed identity', async () => {
  const run = await grant(graphApi.id);
  expect(run.code).toBe(1);
  expect(run.output).toContain('not a managed identity');
  expect((await grant('eeeeeeee-0000-4000-8000-000000000000')).code).toBe(1);
});
