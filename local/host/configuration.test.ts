import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseHostJson, readHostJson } from './host-json.ts';
import { applyLocalSettings } from './local-settings.ts';
import { createLog } from './log.ts';
import { createSettings, resolveSettings } from './settings-resolution.ts';
import { createStorage, resolveConnection } from './storage-connection.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'host-config-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('host.json', () => {
  const parse = (json: object, env: NodeJS.ProcessEnv = {}) => parseHostJson(json, createSettings(env));

  test('has the defaults of the reference', () => {
    expect(parse({ version: '2.0' })).toMatchObject({
      functionTimeout: 1_800_000,
      http: { routePrefix: 'api', customHeaders: [] },
      queues: {
        batchSize: 16,
        newBatchThreshold: 8 * availableParallelism(),
        maxDequeueCount: 5,
        visibilityTimeout: 0,
        maxPollingInterval: 60_000,
        messageEncoding: 'base64',
      },
      singleton: { listenerLockPeriod: 60_000, listenerLockRecoveryPollingInterval: 60_000 },
    });
    expect(parse({ version: '2.0' }, { AZURE_FUNCTIONS_ENVIRONMENT: 'Development' })).toMatchObject({
      queues: { maxPollingInterval: 2_000 },
      singleton: { listenerLockPeriod: 15_000 },
    });
  });

  test('is read with comments, any letter case, and overrides by settings', async () => {
    await writeFile(
      path.join(dir, 'host.json'),
      `{ // a comment with "quotes"
        "version": "2.0", "functionTimeout": "-1",
        "extensions": { "Http": { "RoutePrefix": "", "customHeaders": { "X-A": "http://b" } },
          /* another */ "queues": { "batchSize": 1, "messageEncoding": "None", }, },
      }`,
    );
    const hostJson = await readHostJson(
      dir,
      createSettings({
        AzureFunctionsJobHost__extensions__queues__batchSize: '8',
        AzureFunctionsJobHost__extensions__queues__newBatchThreshold: '4',
        AzureFunctionsJobHost__extensions__http__customHeaders__X_B: 'c',
        AzureFunctionsJobHost__logging__logLevel__Function: 'Warning',
      }),
    );
    expect(hostJson).toMatchObject({
      functionTimeout: undefined,
      http: {
        routePrefix: '',
        customHeaders: [
          ['X-A', 'http://b'],
          ['X_B', 'c'],
        ],
      },
      queues: { batchSize: 8, newBatchThreshold: 4, messageEncoding: 'none' },
      logLevels: new Map([['Function', 'warning']]),
    });
  });

  test('one at a time: batchSize 1 makes the threshold 0', () => {
    const json = { version: '2.0', extensions: { queues: { batchSize: 1 } } };
    expect(parse(json).queues.newBatchThreshold).toBe(0);
  });

  test.each([
    [{}, '"version" must be "2.0"'],
    [{ version: '1.0' }, '"version" must be "2.0"'],
    [{ version: '2.0', extensions: { queues: { batchSize: 33 } } }, 'extensions.queues.batchSize must be'],
    [{ version: '2.0', functionTimeout: 'soon' }, 'functionTimeout must be'],
    [{ version: '2.0', extensions: { queues: { messageEncoding: 'utf9' } } }, 'must be base64 or none'],
    [{ version: '2.0', logging: { logLevel: { default: 'Loud' } } }, 'no log level'],
  ])('refuses %j', (json, message) => {
    expect(() => parse(json)).toThrow(message);
  });

  test('a missing file is one clear line', async () => {
    await expect(readHostJson(dir, createSettings({}))).rejects.toThrow(/^host\.json could not be read/);
  });
});

describe('local.settings.json', () => {
  const write = (text: string) => writeFile(path.join(dir, 'local.settings.json'), text);

  test('gives values the environment lacks', async () => {
    await write(
      '{"IsEncrypted": false, "Values": {"A": "file", "B": "file", "N": 1}, "Host": {"LocalHttpPort": 7072}}',
    );
    const env: NodeJS.ProcessEnv = { A: 'real' };
    expect(await applyLocalSettings(dir, env)).toEqual({ port: 7072, address: undefined });
    expect(env).toEqual({ A: 'real', B: 'file', N: '1' });
  });

  test('may be absent', async () => {
    expect(await applyLocalSettings(dir, {})).toEqual({});
  });

  test('without IsEncrypted it counts as encrypted', async () => {
    await write('{"Values": {"A": "s3cret"}}');
    await expect(applyLocalSettings(dir, {})).rejects.toThrow('missing means true');
  });

  test('what is wrong is reported without its values', async () => {
    await write('{"IsEncrypted": false, "Values": {"A": "s3cret", }');
    await expect(applyLocalSettings(dir, {})).rejects.toThrow(/^local\.settings\.json is not JSON$/);
    await write('{"IsEncrypted": false, "Values": {"A": {"nested": "s3cret"}}}');
    await expect(applyLocalSettings(dir, {})).rejects.toThrow(/^(?!.*s3cret).*Values\.A/);
  });
});

describe('settings', () => {
  test('%NAME% resolves in any letter case', () => {
    const settings = createSettings({ Schedule_A: '0 * * * * *', EMPTY: '' });
    expect(resolveSettings('%schedule_a%', settings)).toBe('0 * * * * *');
    expect(resolveSettings('a-%Schedule_A%-b', settings)).toBe('a-0 * * * * *-b');
    expect(() => resolveSettings('%EMPTY%', settings)).toThrow("'%EMPTY%' does not resolve");
    expect(() => resolveSettings('%NONE%', settings)).toThrow("'%NONE%' does not resolve");
  });

  test('connections: X, AzureWebJobsX, then the section', () => {
    const resolve = (name: string | undefined, env: NodeJS.ProcessEnv) => resolveConnection(name, createSettings(env));
    expect(resolve('', { AzureWebJobsStorage: 'a' })).toEqual({ kind: 'connectionString', value: 'a' });
    expect(resolve('Storage', { AzureWebJobsStorage: 'a' })).toEqual({ kind: 'connectionString', value: 'a' });
    expect(resolve('X', { X: 'x', AzureWebJobsX: 'y' })).toEqual({ kind: 'connectionString', value: 'x' });
    expect(resolve('X', { AzureWebJobsX: 'y' })).toEqual({ kind: 'connectionString', value: 'y' });
    expect(resolve('X', { X__accountName: 'acc', X__credential: 'managedidentity', X__clientId: 'id' })).toEqual({
      kind: 'identity',
      blobUri: 'https://acc.blob.core.windows.net',
      queueUri: 'https://acc.queue.core.windows.net',
      credential: 'managedidentity',
      clientId: 'id',
    });
    expect(resolve('X', { X__queueServiceUri: 'https://q' })).toMatchObject({
      queueUri: 'https://q',
      blobUri: undefined,
    });
    expect(resolve('X', {})).toBeUndefined();
  });

  test('an identity-based connection makes a client, one per connection', async () => {
    const storage = createStorage(
      createSettings({ X__queueServiceUri: 'https://q.example', X__credential: 'managedidentity', X__clientId: 'id' }),
    );
    const client = await storage.queues('X');
    expect(client.url).toMatch(/^https:\/\/q\.example\/?$/);
    expect(await storage.queues('X')).toBe(client);
    await expect(storage.blobs('X')).rejects.toThrow('blobServiceUri');
    await expect(storage.queues('Y')).rejects.toThrow('"Y" is missing');
  });
});

test('the longest category prefix decides the log level', () => {
  const lines: string[] = [];
  const log = createLog(
    new Map([
      ['default', 'warning'],
      ['Function', 'error'],
      ['Function.a.User', 'debug'],
    ]),
    (_level, line) => lines.push(line),
  );
  log.write('information', 'Host', 'no');
  log.write('warning', 'Host', 'host');
  log.write('warning', 'Function.a', 'no');
  log.write('error', 'Function.a', 'function');
  log.write('debug', 'function.A.user', 'user');
  log.write('warning', 'Functional', 'other');
  expect(lines).toEqual(['host', 'function', 'user', 'other']);
});
