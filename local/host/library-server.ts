import diagnostics from 'node:diagnostics_channel';
import { Server as HttpServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { Server, type Socket } from 'node:net';

const LISTEN_CHANNEL = 'tracing:net.server.listen:asyncStart';

/** Servers that began to listen while `task` ran. */
export async function serversStartedBy<T>(task: () => Promise<T>): Promise<{ result: T; servers: readonly Server[] }> {
  const servers = new Set<Server>();
  const onListen = (message: unknown) => {
    if (typeof message === 'object' && message !== null && 'server' in message && message.server instanceof Server) {
      servers.add(message.server);
    }
  };
  diagnostics.subscribe(LISTEN_CHANNEL, onListen);
  try {
    return { result: await task(), servers: [...servers] };
  } finally {
    diagnostics.unsubscribe(LISTEN_CHANNEL, onListen);
  }
}

/** The library's own server for streamed bodies. */
export interface LibraryServer {
  readonly uri: URL;
  /** Called with each request as it arrives there. */
  onRequest(listener: (headers: IncomingHttpHeaders, res: ServerResponse) => void): void;
  close(): void;
}

/**
 * The library's streaming server listens on every interface, keeps no handle for anyone and is never closed. Here it
 * is found by its port, serves this machine only, and can be closed. `maxHeaderSize`: bytes of headers it takes.
 */
export function limitLibraryServer(
  servers: readonly Server[],
  uri: URL,
  maxHeaderSize: number | undefined,
): LibraryServer {
  const found = servers.filter((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null && address.port === Number(uri.port);
  });
  for (const server of found) {
    server.on('connection', (socket: Socket) => {
      if (!isLoopback(socket.remoteAddress)) socket.destroy();
    });
    // Bodies of any duration: the host in front has its own limit.
    if (server instanceof HttpServer) {
      server.requestTimeout = 0;
      // The host alone closes connections that nobody uses: one that is closed here at the moment of the next request
      // brings the caller a 502.
      server.keepAliveTimeout = 0;
      // Read at each new connection.
      if (maxHeaderSize !== undefined) Object.assign(server, { maxHeaderSize });
    }
  }
  if (found.length === 0) throw new Error(`the library does not listen where it says: ${uri.href}`);
  return {
    uri,
    onRequest: (listener) => {
      for (const server of found) {
        server.on('request', (req: IncomingMessage, res: ServerResponse) => listener(req.headers, res));
      }
    },
    close: () => {
      for (const server of found) {
        server.close();
        if (server instanceof HttpServer) server.closeAllConnections();
      }
    },
  };
}

function isLoopback(address: string | undefined): boolean {
  return address === '::1' || address?.replace('::ffff:', '').startsWith('127.') === true;
}
