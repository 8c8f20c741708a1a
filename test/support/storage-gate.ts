import { Agent, createServer, type IncomingMessage, request as openRequest, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Azurite } from '../../local/azurite.ts';

export type StorageService = 'blob' | 'queue' | 'table';

/** One request of the service to its storage. */
export interface StorageRequest {
  readonly service: StorageService;
  readonly method: string;
  /** Path and query, percent-encoding undone. */
  readonly path: string;
  /** What it carries; the text of a queue message comes decoded. */
  readonly body: string;
}

export interface Hold {
  /** Which request is held: the first that fits. */
  fits(request: StorageRequest): boolean;
  /** `before`: storage never gets to see it. `after`: storage has carried it out, and its answer is kept back. */
  readonly at: 'before' | 'after';
}

/**
 * A proxy between the service and its storage that can hold a request, so that a process is caught in the very moment
 * between two steps. Everything else passes as it is.
 */
export interface StorageGate {
  /** The connection string that leads through this gate to `azurite`, whichever it is at the time. */
  lead(azurite: Azurite): string;
  /** Resolves, with the request, when one is held. One request per call; those that follow pass. */
  hold(hold: Hold): Promise<StorageRequest>;
  /** What is held goes on: to storage, or as its answer to the service. Holds that were not reached are no more. */
  resume(): void;
  /** No more holds, and nothing of what is held ever goes on. */
  release(): void;
  stop(): Promise<void>;
}

const services: readonly StorageService[] = ['blob', 'queue', 'table'];

/** Bytes of one request; the tests' mails are smaller. */
const maxBody = 64 * 1024 * 1024;

export async function startStorageGate(): Promise<StorageGate> {
  const agent = new Agent({ keepAlive: true });
  const sockets = new Set<Socket>();
  let holds: { readonly hold: Hold; reached(request: StorageRequest): void }[] = [];
  let held: { readonly socket: Socket; mayContinue(resumed: boolean): void }[] = [];
  let target: Azurite | undefined;

  const listen = async (service: StorageService): Promise<Server> => {
    const server = createServer({ keepAliveTimeout: 120_000 }, (incoming, outgoing) => {
      pass(service, incoming).then(
        (answer) => {
          if (answer === undefined) return;
          outgoing.writeHead(answer.status, answer.headers);
          outgoing.end(answer.body);
        },
        // The client sees what it would see without the gate: a connection that breaks.
        () => incoming.socket.destroy(),
      );
    });
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket)).on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  };

  /** Undefined: held. */
  async function pass(service: StorageService, incoming: IncomingMessage) {
    const body = await bytesOf(incoming);
    const request: StorageRequest = {
      service,
      method: incoming.method ?? '',
      path: decodeURIComponent(incoming.url ?? ''),
      body: service === 'queue' ? decodedMessage(body) : service === 'table' ? body.toString() : '',
    };
    const holding = holds.find(({ hold }) => hold.fits(request));
    if (!holding) return await forward(service, incoming, body);
    holds = holds.filter((other) => other !== holding);
    const answer = holding.hold.at === 'after' ? await forward(service, incoming, body) : undefined;
    const resumed = new Promise<boolean>((mayContinue) => {
      held.push({ socket: incoming.socket, mayContinue });
    });
    holding.reached(request);
    if (!(await resumed)) return undefined;
    return answer ?? (await forward(service, incoming, body));
  }

  function forward(service: StorageService, incoming: IncomingMessage, body: Buffer) {
    const port = target?.[`${service}Port`];
    return new Promise<{ status: number; headers: string[]; body: Buffer }>((resolve, reject) => {
      const onward = openRequest(
        { host: '127.0.0.1', port, method: incoming.method, path: incoming.url, headers: incoming.headers, agent },
        (answer) => {
          bytesOf(answer).then(
            (bytes) => resolve({ status: answer.statusCode ?? 502, headers: endToEnd(answer), body: bytes }),
            reject,
          );
        },
      );
      onward.on('error', reject);
      onward.end(body);
    });
  }

  const servers = await Promise.all(services.map(listen));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });

  return {
    lead(azurite) {
      target = azurite;
      return services.reduce(
        (text, service, index) => text.replace(`:${azurite[`${service}Port`]}/`, `:${ports[index]}/`),
        azurite.connectionString,
      );
    },
    hold: (hold) =>
      new Promise((resolve) => {
        holds.push({ hold, reached: resolve });
      }),
    resume() {
      holds = [];
      for (const { mayContinue } of held) mayContinue(true);
      held = [];
    },
    release() {
      holds = [];
      for (const { socket, mayContinue } of held) {
        socket.destroy();
        mayContinue(false);
      }
      held = [];
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      agent.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of stream) {
    total += chunk.length;
    if (total > maxBody) throw new Error('a request larger than the gate takes');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The headers that are not about one hop (RFC 9110 section 7.6.1); the length is counted anew. */
function endToEnd({ rawHeaders }: IncomingMessage): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
    if (!/^(connection|keep-alive|transfer-encoding)$/i.test(name)) kept.push(name, value);
  }
  return kept;
}

function decodedMessage(body: Buffer): string {
  const text = /<MessageText>([^<]*)<\/MessageText>/.exec(body.toString())?.[1];
  return text === undefined ? '' : Buffer.from(text, 'base64').toString();
}
