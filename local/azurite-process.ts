import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import BlobConfiguration from 'azurite/dist/src/blob/BlobConfiguration.js';
import BlobServer from 'azurite/dist/src/blob/BlobServer.js';
import LokiExtentMetadataStore from 'azurite/dist/src/common/persistence/LokiExtentMetadataStore.js';
import QueueConfiguration from 'azurite/dist/src/queue/QueueConfiguration.js';
import QueueServer from 'azurite/dist/src/queue/QueueServer.js';
import TableConfiguration from 'azurite/dist/src/table/TableConfiguration.js';
import TableServer from 'azurite/dist/src/table/TableServer.js';
import { z } from 'zod';
import { type ExtentLists, removeExtentsOneByOne } from './azurite-extents.ts';
import { lockWorkingDirectory } from './location-lock.ts';

/**
 * Azurite in a process of its own. Started by `startAzurite` with its options as JSON in the first argument; sends
 * `{ type: 'ready', blobPort, queuePort, tablePort }` over IPC. Built from Azurite's own classes instead of its command
 * line: that one cannot take ports from the system, and does not say when the last byte is on disk.
 */

const portSchema = z.int().min(0).max(65_535);
const optionsSchema = z.strictObject({
  location: z.string().optional(),
  ports: z.strictObject({ blob: portSchema, queue: portSchema, table: portSchema }),
  /** Serve https with these PEM files, and take tokens beside the key (`--oauth basic`). */
  https: z.strictObject({ certFile: z.string(), keyFile: z.string() }).optional(),
});

interface AzuriteServer {
  start(): Promise<void>;
  close(): Promise<void>;
  getHttpServerAddress(): string;
  readonly httpServer: Server;
}
type AzuriteClass = new (configuration: object) => AzuriteServer;
type ConfigurationClass = new (...values: readonly unknown[]) => object;

const classes = {
  blob: [BlobServer, BlobConfiguration],
  queue: [QueueServer, QueueConfiguration],
  table: [TableServer, TableConfiguration],
} as const;

const host = '127.0.0.1';
/** Longer than clients keep an idle connection, so that none is closed just as a request goes out on it. */
const keepAliveSeconds = 120;
/** How long the last writes may take at the end. */
const closeMs = 15_000;
/** How long clients may go on after the parent's end: above the time that the functions take to stop. */
const clientsMs = 60_000;
const lookMs = 100;

async function main(): Promise<void> {
  removeExtentsOneByOne(LokiExtentMetadataStore.default as ExtentLists);
  const options = optionsSchema.parse(JSON.parse(process.argv[2] ?? ''));
  if (options.location !== undefined) {
    mkdirSync(options.location, { recursive: true, mode: 0o700 });
    process.chdir(options.location);
    await lockWorkingDirectory();
  }
  const inMemory = options.location === undefined;
  const noLog = [false, undefined] as const;
  // loose, skipApiVersionCheck, cert, key, pwd, oauth, disableProductStyleUrl, isMemoryPersistence
  const { certFile, keyFile } = options.https ?? {};
  const oauth = options.https && 'basic';
  const common = [false, true, certFile, keyFile, undefined, oauth, true, inMemory] as const;
  const extents = (path: string) => [{ locationId: 'Default', locationPath: path, maxConcurrency: 1 }];
  const files = (service: string) => [`__azurite_db_${service}__.json`, `__azurite_db_${service}_extent__.json`];
  const server = (service: keyof typeof classes, configuration: readonly unknown[]) => {
    const [{ default: Server }, { default: Configuration }] = classes[service];
    return new (Server as AzuriteClass)(new (Configuration as ConfigurationClass)(...configuration));
  };
  const blobFiles = [...files('blob'), extents('__blobstorage__')];
  const queueFiles = [...files('queue'), extents('__queuestorage__')];
  const servers = [
    server('blob', [host, options.ports.blob, keepAliveSeconds, ...blobFiles, ...noLog, ...noLog, ...common]),
    server('queue', [host, options.ports.queue, keepAliveSeconds, ...queueFiles, ...noLog, ...noLog, ...common]),
    server('table', [
      ...[host, options.ports.table, keepAliveSeconds, files('table')[0]],
      // Tables take the two log switches in another order.
      ...[false, false, undefined, undefined],
      ...common,
    ]),
  ];
  stopWithParent(servers);
  for (const one of servers) await one.start();
  const [blobPort, queuePort, tablePort] = servers.map((one) => Number(new URL(one.getHttpServerAddress()).port));
  process.send?.({ type: 'ready', blobPort, queuePort, tablePort });
}

/** Ends on SIGTERM at once, and when the parent goes away, in both cases with everything written down. */
function stopWithParent(servers: readonly AzuriteServer[]): void {
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), closeMs).unref();
    // A server that had not started yet cannot be closed, and has nothing to write.
    Promise.allSettled(servers.map((one) => one.close())).then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('disconnect', () => {
    // The parent's other children lost it too. Those that use this storage need it for an orderly end.
    untilNobodyIsConnected(servers).then(stop, stop);
  });
}

async function untilNobodyIsConnected(servers: readonly AzuriteServer[]): Promise<void> {
  const deadline = Date.now() + clientsMs;
  while (Date.now() < deadline) {
    const counts = await Promise.all(
      servers.map(({ httpServer }) => promisify(httpServer.getConnections).call(httpServer)),
    );
    if (counts.every((count) => count === 0)) return;
    await sleep(lookMs);
  }
}

main().catch((error: unknown) => {
  const reason = error instanceof Error ? error.message : String(error);
  if (process.send && process.connected) process.send({ type: 'failed', reason }, () => process.exit(1));
  else process.exit(1);
});
