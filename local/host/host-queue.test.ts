import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Azurite, startAzurite } from '../azurite.ts';
import { eventually, startTestHost, type TestHost } from './testdata/test-host.ts';

const SOURCE = `
const { output } = require('@azure/functions');
const seen = globalThis.seenByQueues = [];
let running = 0; globalThis.mostRunning = 0;
app.storageQueue('work', { queueName: '%WORK_QUEUE%', connection: 'Jobs', handler: async (entry, ctx) => {
  running += 1; globalThis.mostRunning = Math.max(globalThis.mostRunning, running);
  seen.push({ entry, metadata: ctx.triggerMetadata });
  await new Promise((resolve) => setTimeout(resolve, entry.wait ?? 0));
  running -= 1;
  if (entry.fail) throw new Error('refused');
} });
app.storageQueue('writes', { queueName: 'writes', connection: '', return: output.storageQueue({ queueName: 'final', connection: '' }), handler: () => 'x' });
app.storageQueue('poisoned', { queueName: 'jobs-poison', connection: '', handler: (entry, ctx) => { seen.push({ poison: entry, dequeueCount: ctx.triggerMetadata.dequeueCount }); } });
app.storageQueue('nameless', { queueName: '%NO_SUCH_SETTING%', connection: '', handler: () => undefined });
`;
const HOST_JSON = {
  extensions: {
    queues: {
      batchSize: 4,
      newBatchThreshold: 2,
      maxDequeueCount: 2,
      visibilityTimeout: '00:00:00',
      maxPollingInterval: '00:00:00.3',
    },
  },
};

interface Seen {
  readonly entry?: unknown;
  readonly metadata?: Record<string, unknown>;
  readonly poison?: unknown;
  readonly dequeueCount?: number;
}

let azurite: Azurite;
let service: QueueServiceClient;
let host: TestHost;
const seen = (): Seen[] => Reflect.get(globalThis, 'seenByQueues');
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');

beforeAll(async () => {
  azurite = await startAzurite();
  service = QueueServiceClient.fromConnectionString(azurite.connectionString);
  host = await startTestHost(
    { source: SOURCE, hostJson: HOST_JSON },
    {
      env: {
        AzureWebJobsStorage: azurite.connectionString,
        AzureWebJobsJobs: azurite.connectionString,
        WORK_QUEUE: 'Jobs',
      },
    },
  );
  await service.getQueueClient('jobs').create();
});
afterAll(async () => {
  await host.stop();
  await azurite.stop();
});

test('a message is decoded, described, handled, and deleted', async () => {
  const sent = await service.getQueueClient('jobs').sendMessage(base64({ hello: 'world', n: 1 }));
  const { metadata, entry } = await eventually('the message', () => seen().find((item) => item.metadata?.hello));
  expect(entry).toEqual({ hello: 'world', n: 1 });
  expect(metadata).toMatchObject({
    queueTrigger: { hello: 'world', n: 1 },
    dequeueCount: 1,
    id: sent.messageId,
    popReceipt: expect.any(String),
    insertionTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*\+00:00$/),
    expirationTime: expect.any(String),
    nextVisibleTime: expect.any(String),
    hello: 'world',
    n: 1,
  });
  await eventually('an empty queue', async () => {
    const properties = await service.getQueueClient('jobs').getProperties();
    return properties.approximateMessagesCount === 0;
  });
});

test('a message that fails comes again, then goes to the poison queue', async () => {
  await service.getQueueClient('jobs').sendMessage(base64({ fail: 'always' }));
  const poison = await eventually('the poison message', () => seen().find((item) => item.poison));
  expect(poison).toEqual({ poison: { fail: 'always' }, dequeueCount: 1 });
  const tries = seen().filter((item) => typeof item.entry === 'object' && item.metadata?.fail === 'always');
  expect(tries.map((item) => item.metadata?.dequeueCount)).toEqual([1, 2]);
});

test('raw text where base64 is expected goes to the poison queue without an invocation', async () => {
  const before = seen().length;
  await service.getQueueClient('jobs').sendMessage('{"raw":true}');
  await eventually('the warning', () => host.lines.some((line) => line.includes('Message decoding has failed!')));
  await eventually('the end of it', async () => {
    const properties = await service.getQueueClient('jobs').getProperties();
    return properties.approximateMessagesCount === 0;
  });
  expect(
    seen()
      .slice(before)
      .filter((item) => item.entry),
  ).toEqual([]);
});

test('no more than batchSize + newBatchThreshold are handled at once', async () => {
  Reflect.set(globalThis, 'mostRunning', 0);
  const before = seen().length;
  const queue = service.getQueueClient('jobs');
  await Promise.all(Array.from({ length: 24 }, (_none, n) => queue.sendMessage(base64({ wait: 60, bulk: n }))));
  await eventually('all of them', () => seen().length - before >= 24);
  const most = Reflect.get(globalThis, 'mostRunning');
  expect(most).toBeGreaterThan(2);
  expect(most).toBeLessThanOrEqual(6);
});

test('fired by hand, with the input as message', async () => {
  expect((await host.fire('WORK', { input: '{"byHand":true}' })).status).toBe(202);
  await eventually('the invocation', () => seen().some((item) => item.metadata?.byHand === true));
});

test('an unresolvable %setting%, or an output, is that function’s error alone', () => {
  expect(host.host.index.errors).toEqual([
    { name: 'writes', reason: 'this host has no output binding of type queue' },
    { name: 'nameless', reason: "'%NO_SUCH_SETTING%' does not resolve to a value" },
  ]);
});

test('a stop waits for messages that are being handled', async () => {
  const source = `app.storageQueue('slow', { queueName: 'slow', connection: '', handler: async () => { globalThis.slowState = 'started'; await new Promise((r) => setTimeout(r, 400)); globalThis.slowState = 'done'; } });`;
  const other = await startTestHost({ source }, { env: { AzureWebJobsStorage: azurite.connectionString } });
  const queue = service.getQueueClient('slow');
  await queue.createIfNotExists();
  await queue.sendMessage(base64('x'));
  await eventually('the start', () => Reflect.get(globalThis, 'slowState') === 'started');
  await other.stop();
  expect(Reflect.get(globalThis, 'slowState')).toBe('done');
  expect((await queue.getProperties()).approximateMessagesCount).toBe(0);
});

test('without AzureWebJobsStorage an app with a queue does not start', async () => {
  await expect(startTestHost({ source: SOURCE })).rejects.toThrow('AzureWebJobsStorage is missing');
});
