import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Azurite } from '../../local/azurite.ts';

/** A request to storage: one transaction, an entity group transaction included. */
export interface StorageRequest {
  readonly service: 'blob' | 'queue' | 'table';
  readonly method: string;
  /** Without the account: `/assets/...`, `/mail-events/messages`, `/inbox(...)`, `/$batch`. */
  readonly path: string;
  /** What is asked for behind the path: of tables, the rows. */
  readonly query: string;
  /** What was sent to the tables; empty for the others. */
  readonly body: string;
}

export interface CountingProxy {
  readonly connectionString: string;
  /** What came through since the last call. */
  take(): readonly StorageRequest[];
  /** From now on each request waits so long before it is passed on: storage that is further away. In ms. */
  delay(ms: number): void;
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const accountPath = '/devstoreaccount1';

/** Passes requests on to an Azurite and keeps count of them. */
export async function startCountingProxy(azurite: Azurite): Promise<CountingProxy> {
  let counted: StorageRequest[] = [];
  let delayMs = 0;
  const agent = new Agent({ keepAlive: true });
  const ports = { blob: azurite.blobPort, queue: azurite.queuePort, table: azurite.tablePort };

  async function listen(service: StorageRequest['service']): Promise<Server> {
    const server = createServer((incoming, answer) => {
      const { method = '', url = '', headers } = incoming;
      const { pathname, searchParams } = new URL(url, `http://${host}`);
      const passOn = () => {
        const chunks: Buffer[] = [];
        if (service === 'table') incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.once('end', () => {
          const body = Buffer.concat(chunks).toString();
          counted.push({
            service,
            method,
            path: pathname.slice(accountPath.length),
            query: searchParams.get('$filter') ?? '',
            body,
          });
        });
        const outgoing = request({ agent, host, port: ports[service], method, path: url, headers }, (response) => {
          answer.writeHead(response.statusCode ?? 502, response.rawHeaders);
          response.pipe(answer);
        });
        outgoing.once('error', () => answer.destroy());
        incoming.pipe(outgoing);
      };
      if (delayMs === 0) passOn();
      else setTimeout(passOn, delayMs);
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return server;
  }

  const servers = { blob: await listen('blob'), queue: await listen('queue'), table: await listen('table') };
  const port = (server: Server) => (server.address() as AddressInfo).port;
  const own = Object.entries(servers).map(([service, server]) => [service, port(server)] as const);
  return {
    connectionString: own.reduce(
      (text, [service, number]) => text.replace(`:${ports[service as keyof typeof ports]}/`, `:${number}/`),
      azurite.connectionString,
    ),
    take: () => {
      const taken = counted;
      counted = [];
      return taken;
    },
    delay: (ms) => {
      delayMs = ms;
    },
    async stop() {
      agent.destroy();
      for (const server of Object.values(servers)) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

/**
 * Whether a request is about an account's mailbox: about its partition or its row. The timers of each minute, and the
 * host's asking of its queues, are not.
 */
export function isOfAccount(name: string): (request: StorageRequest) => boolean {
  return ({ service, path, query, body }) => {
    const place = decodeURIComponent(path);
    if (service === 'blob') return place.includes(`/${name}/`);
    if (service === 'queue') return place.startsWith('/mail-events/');
    const isNamed = [place, query].some((text) => text.includes(`'${name}'`)) || body.includes(`"${name}"`);
    return isNamed && !/^\/(outbox|events)\b/.test(place);
  };
}
