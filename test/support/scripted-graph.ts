import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { makeCertificate } from '../../local/certificate.ts';
import { type Entra, startEntra } from '../../local/entra/entra.ts';

export const testTenant = '11111111-2222-3333-4444-555555555555';
export const testClient = '66666666-7777-8888-9999-aaaaaaaaaaaa';
export const testSecret = 'the-client-secret';

const certificate = await makeCertificate();

/** Makes this process trust the certificate of all servers made here. */
export function trustTestServers(ca: string = certificate.ca): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), ca]);
}

/** The certificate of all servers made here; `trustTestServers` makes it good. */
export const serverCertificate = certificate;

/** A request as it came. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Script = (request: SeenRequest, response: ServerResponse) => unknown;

export interface ScriptedServer {
  readonly origin: string;
  readonly requests: readonly SeenRequest[];
  /** What answers from now on. */
  script(answer: Script): void;
  stop(): Promise<void>;
}

/** An https server on 127.0.0.1 that answers as a test says. */
export async function startScriptedServer(answer: Script): Promise<ScriptedServer> {
  const requests: SeenRequest[] = [];
  const sockets = new Set<Duplex>();
  let current = answer;
  const server = createServer({ key: certificate.key, cert: certificate.cert }, async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks),
    };
    requests.push(seen);
    await current(seen, response);
  });
  server.on('tlsClientError', () => undefined);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    requests,
    script(next) {
      current = next;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers JSON. */
export function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** Answers an error as Graph does. */
export function refuse(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}) {
  const innerError = { 'request-id': 'a1b2c3d4-0000-0000-0000-000000000000' };
  json(response, status, { error: { code, message: `About ${code}.`, innerError } }, headers);
}

/** An Entra stand-in that knows the test app. */
export function startTestEntra(): Promise<Entra> {
  return startEntra({
    certificate,
    apps: [
      {
        tenantId: testTenant,
        clientId: testClient,
        secret: testSecret,
        roles: ['Mail.ReadWrite', 'Mail.Send', 'Mail.Read'],
      },
    ],
  });
}
