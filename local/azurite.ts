import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { bundled, compiledOnce } from './bundled.ts';
import type { StoredCertificate } from './certificate.ts';

export interface AzuritePorts {
  readonly blob: number;
  readonly queue: number;
  readonly table: number;
}

export interface AzuriteOptions {
  /** Folder for its data, made when absent. Without one everything is in memory and gone at the end. */
  readonly location?: string;
  /** Without them the system picks. A restart for clients that live on takes the ports of the first start. */
  readonly ports?: AzuritePorts;
  /**
   * Served over https with this certificate, and opened by tokens, too: Azurite looks at their issuer, audience and
   * times, and not at their signature.
   */
  readonly https?: Pick<StoredCertificate, 'certFile' | 'keyFile'> | undefined;
  /** TypeScript file of a program that changes something of Azurite and then imports `azurite-process.ts`. */
  readonly program?: string | undefined;
}

/** Addresses of the services, with the account in their path. */
export interface AzuriteUris {
  readonly blob: string;
  readonly queue: string;
  readonly table: string;
}

export interface Azurite {
  readonly connectionString: string;
  readonly uris: AzuriteUris;
  readonly blobPort: number;
  readonly queuePort: number;
  readonly tablePort: number;
  readonly pid: number;
  readonly running: boolean;
  /** Settles once it has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Ends it with all data written down. */
  stop(): Promise<void>;
  /** SIGKILL: what was written in the last five seconds may be lost. */
  kill(): void;
}

/** The account and key every Azurite has; public (Microsoft Learn, "Use the Azurite emulator"). */
const account = 'devstoreaccount1';
const accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** Loading a large data file takes a while on a slow disk. */
const startMs = 60_000;
/** Above the time the process gives itself to write its data. */
const stopMs = 20_000;

const portSchema = z.int().min(1).max(65_535);
const reportSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready'), blobPort: portSchema, queuePort: portSchema, tablePort: portSchema }),
  z.object({ type: z.literal('failed'), reason: z.string() }),
]);

const program = fileURLToPath(new URL('azurite-process.ts', import.meta.url));

/** Starts Azurite as a process of its own on 127.0.0.1. It ends by itself, gracefully, when this process is gone. */
export async function startAzurite(options: AzuriteOptions = {}): Promise<Azurite> {
  const argument = JSON.stringify({
    ...(options.location === undefined ? {} : { location: options.location }),
    ports: options.ports ?? { blob: 0, queue: 0, table: 0 },
    ...(options.https ? { https: { certFile: options.https.certFile, keyFile: options.https.keyFile } } : {}),
  });
  const { AZURITE_ACCOUNTS: _accounts, AZURITE_DB: _database, ...env } = process.env;
  // A process group of its own: Ctrl-C in a terminal must not end it before the functions that still write to it.
  const child = fork(await bundled(options.program ?? program), [argument], {
    env: { ...env, ...compiledOnce() },
    execArgv: [],
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit').then(() => undefined);
  const report = await firstReport();
  // The channel stays open: its end is how the process learns that this one is gone. It must keep nobody alive, though.
  child.channel?.unref();
  child.unref();

  const running = () => child.exitCode === null && child.signalCode === null;
  const protocol = options.https ? 'https' : 'http';
  const uris = serviceUris(protocol, report);

  return {
    connectionString: connectionString(protocol, uris),
    uris,
    blobPort: report.blobPort,
    queuePort: report.queuePort,
    tablePort: report.tablePort,
    pid: child.pid ?? 0,
    get running() {
      return running();
    },
    ended,
    async stop() {
      if (!running()) return;
      child.ref();
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMs);
      child.kill('SIGTERM');
      await ended;
      clearTimeout(timer);
    },
    kill: () => void child.kill('SIGKILL'),
  };

  async function firstReport() {
    const timer = setTimeout(() => child.kill('SIGKILL'), startMs);
    try {
      const message = await Promise.race([once(child, 'message').then(([first]) => first), ended]);
      if (message === undefined) throw new Error('Azurite ended before it was ready');
      const parsed = reportSchema.parse(message);
      if (parsed.type === 'failed') throw new Error(`Azurite could not start: ${parsed.reason}`);
      return parsed;
    } finally {
      clearTimeout(timer);
    }
  }
}

function serviceUris(protocol: string, ports: { blobPort: number; queuePort: number; tablePort: number }): AzuriteUris {
  const uri = (port: number) => `${protocol}://127.0.0.1:${port}/${account}`;
  return { blob: uri(ports.blobPort), queue: uri(ports.queuePort), table: uri(ports.tablePort) };
}

function connectionString(protocol: string, { blob, queue, table }: AzuriteUris): string {
  return [
    `DefaultEndpointsProtocol=${protocol}`,
    `AccountName=${account}`,
    `AccountKey=${accountKey}`,
    `BlobEndpoint=${blob}`,
    `QueueEndpoint=${queue}`,
    `TableEndpoint=${table}`,
    '',
  ].join(';');
}
