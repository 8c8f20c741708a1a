import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { openBlob } from './blob-range.ts';
import { type StorageClients, storageClients } from './storage.ts';
import type { StorageSilence } from './storage-tries.ts';

/** Azurite answers sooner on a busy machine as well. */
const silence: StorageSilence = { answerMs: 1_000, streamMs: 200 };
/** More than sockets and streams hold. */
const large = randomBytes(8 << 20);

const clients = (connectionString: string, times: StorageSilence = silence) =>
  storageClients(
    { kind: 'connectionString', connectionString },
    async () => {
      throw new Error('Azurite is opened by its connection string');
    },
    times,
  );

let azurite: Azurite;
/** Past the proxies. */
let direct: StorageClients;
let storage: StorageClients;
const proxies: Server[] = [];
const sockets = new Set<Socket>();
/** How many bytes of an answer pass; the connections are counted from 0. */
let passing: (connection: number) => number;
/** Nothing passes any more. */
let isMute: boolean;
let connections: number;

/** Takes every connection and passes on what it may; beyond that nobody says another word, and nobody hangs up. */
async function silentProxy(port: number): Promise<number> {
  const proxy = createServer((client) => {
    let left = passing(connections);
    connections += 1;
    const server = connect(port, '127.0.0.1');
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => [client, server].forEach((each) => void each.destroy()));
    }
    client.on('data', (chunk) => server.write(chunk));
    server.on('data', (chunk) => {
      if (left > 0 && !isMute) client.write(chunk.subarray(0, left));
      left -= chunk.length;
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  proxies.push(proxy);
  const address = proxy.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const ports = () => [azurite.blobPort, azurite.queuePort, azurite.tablePort];

/** The storage with each service at the port that `at` answers. */
async function led(at: (port: number) => Promise<number>): Promise<string> {
  let { connectionString } = azurite;
  for (const port of ports()) connectionString = connectionString.replace(`:${port}/`, `:${await at(port)}/`);
  return connectionString;
}

/** Of a storage that never answers, which takes a few tries to find out. */
let never: Promise<unknown>;

beforeAll(async () => {
  azurite = await startAzurite();
  direct = clients(azurite.connectionString);
  await (await direct.container('assets')).getBlockBlobClient('large').upload(large, large.length);
  const deaf = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
  proxies.push(deaf);
  const address = deaf.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  never = clients(await led(async () => port), { answerMs: 50, streamMs: 50 }).table('inbox');
  never.catch(() => undefined);
});

beforeEach(async () => {
  connections = 0;
  isMute = false;
  passing = () => Number.POSITIVE_INFINITY;
  storage = clients(await led(silentProxy));
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const proxy of proxies) proxy.close();
  await azurite?.stop();
});

it.each([
  ['blobs', (each: StorageClients) => each.container('outbox')],
  ['queues', (each: StorageClients) => each.queue('mail-send')],
  ['tables', (each: StorageClients) => each.table('outbox')],
])('a request to %s that gets no answer is tried again', async (_, use) => {
  passing = (connection) => (connection === 0 ? 0 : Number.POSITIVE_INFINITY);
  await use(storage);
  expect(connections).toBeGreaterThan(1);
});

it('an answer that stops within its text is tried again', async () => {
  passing = (connection) => (connection === 0 ? 150 : Number.POSITIVE_INFINITY);
  const queue = await storage.queue('mail-events');
  await queue.sendMessage('x');
  expect((await queue.peekMessages()).peekedMessageItems).toHaveLength(1);
});

it('a request that its caller ends is neither waited for nor tried again', async () => {
  const blob = (await storage.container('assets')).getBlobClient('large');
  isMute = true;
  const before = connections;
  const asked = blob.getProperties({ abortSignal: AbortSignal.timeout(50) });
  await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
  expect(connections - before).toBeLessThanOrEqual(1);
});

describe('a blob that is read as a stream', () => {
  const open = async (signal = new AbortController().signal) => {
    const blob = (await storage.container('assets')).getBlobClient('large');
    return (await openBlob(blob, { offset: 0, count: large.length, signal })) ?? expect.fail('no blob');
  };

  it('is an error where it stops within', async () => {
    const stream = await open();
    stream.once('data', () => {
      isMute = true;
    });
    await expect(buffer(stream)).rejects.toThrow();
  });

  it('comes whole to a reader who takes his time', async () => {
    const pieces: Buffer[] = [];
    for await (const piece of await open()) {
      // Longer than the storage may be silent.
      if (pieces.length === 0) await wait(4 * silence.streamMs);
      pieces.push(piece);
    }
    expect(Buffer.concat(pieces).equals(large)).toBe(true);
  });

  it('ends with its caller', async () => {
    const end = new AbortController();
    const stream = await open(end.signal);
    end.abort();
    await expect(buffer(stream)).rejects.toThrow(/abort/i);
  });
});

it('a storage that never answers is an error', async () => {
  await expect(never).rejects.toMatchObject({ code: 'ETIMEDOUT', message: expect.stringContaining('did not answer') });
});
