import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readSettings, settingNames } from '../shared/platform/settings.ts';

const read = (path: string) => readFile(new URL(`../${path}`, import.meta.url), 'utf8');

const sample = z
  .strictObject({
    IsEncrypted: z.literal(false),
    Values: z.record(z.string(), z.string()),
    Host: z.strictObject({ LocalHttpPort: z.literal(7071) }),
  })
  .parse(JSON.parse(await read('local.settings.sample.json')));

/** What the platform says by itself and nobody sets. */
const fromPlatform = [
  'APPSETTING_WEBSITE_AUTH_ENABLED',
  'CONTAINER_NAME',
  'IDENTITY_ENDPOINT',
  'WEBSITE_AUTH_ENABLED',
  'WEBSITE_HOSTNAME',
  'WEBSITE_INSTANCE_ID',
];
/** Read by the Functions host and by Node, not by our code. */
const fromHost = [
  'AzureWebJobsStorage',
  'FUNCTIONS_REQUEST_BODY_SIZE_LIMIT',
  'FUNCTIONS_WORKER_RUNTIME',
  'NODE_EXTRA_CA_CERTS',
  'NODE_OPTIONS',
];

/** Settings that are read by name where the environment is read. */
async function environmentNames(): Promise<string[]> {
  const source = await read('shared/platform/environment.ts');
  return [...source.matchAll(/(?:environment\(\)|given)\.(\w+)|^ {2}([A-Z_]+): '/gm)].map(([, one, other]) =>
    String(one ?? other),
  );
}

const all = [...new Set([...settingNames, ...(await environmentNames()), ...fromHost])].sort();

describe('local.settings.sample.json', () => {
  it('holds every setting that is read, and none that is not', () => {
    expect(all).toEqual(expect.arrayContaining(fromPlatform));
    expect(Object.keys(sample.Values).sort()).toEqual(all.filter((name) => !fromPlatform.includes(name)));
  });

  it('is what applies without it, once the places for names are filled in', () => {
    const filled = Object.entries(sample.Values).map(([name, value]) => [name, value.replaceAll(/<[^>]+>/g, 'name')]);
    const { KEY_VAULT_URI, MailStorage, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, ...others } =
      Object.fromEntries(filled);
    const needed = { KEY_VAULT_URI, MailStorage, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET };
    expect(Object.values(needed).every(Boolean)).toBe(true);
    // On a laptop the servers one tries are on the laptop.
    expect(others.MAIL_ALLOWED_NETWORKS).toBe('127.0.0.0/8,::1/128');
    expect(others.WEBHOOK_ALLOWED_NETWORKS).toBe('127.0.0.0/8,::1/128');
    const closed = { MAIL_ALLOWED_NETWORKS: '', WEBHOOK_ALLOWED_NETWORKS: '' };
    expect(readSettings({ ...needed, ...others, ...closed })).toEqual(readSettings(needed));
  });
});

it('docs/settings.md explains every setting', async () => {
  const section = await read('docs/settings.md');
  const explained = [...section.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
  );
  expect(explained.sort()).toEqual(all);
});
