import { once } from 'node:events';
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { LocalCertificate } from './certificate.ts';

export interface Listener {
  readonly port: number;
  stop(): Promise<void>;
}

const keepAliveMs = 120_000;

/** Listens on 127.0.0.1. `port` 0: the system picks. */
export async function listen(server: HttpServer | HttpsServer, port: number): Promise<Listener> {
  // Longer than clients keep theirs: a connection that closes just as it is used again would look like a fault.
  server.keepAliveTimeout = keepAliveMs;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** As `listen`, by https. What `answer` throws ends the connection: only a client that went away should. */
export async function listenByHttps(
  certificate: LocalCertificate,
  port: number,
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<Listener> {
  const server = createServer({ key: certificate.key, cert: certificate.cert }, (request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  // A client that speaks no TLS, or does not trust the certificate, is its own trouble.
  server.on('tlsClientError', () => undefined);
  return await listen(server, port);
}
