import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTls } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { takenOverSeconds, until } from './mailroom.ts';

/** What a receiver does with a request. `stall`: it takes it and never answers. `reset`: it breaks the connection. */
export type Reply =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | 'stall'
  | 'reset';

const eventSchema = z.strictObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string().startsWith('/accounts/'),
  type: z.string().startsWith('mailroom.'),
  subject: z.string().min(1),
  time: z.iso.datetime(),
  datacontenttype: z.literal('application/json'),
  data: z.record(z.string(), z.unknown()),
});

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly event: z.output<typeof eventSchema>;
}

export interface ReceiverOptions {
  /** Speaks https with this. Absent: http. */
  readonly certificate?: { readonly key: string; readonly cert: string };
  /** What is answered; default: 204. `count`: requests with this `webhook-id` so far, from 1. */
  readonly answer?: (request: Received, count: number) => Reply | Promise<Reply>;
}

/** A receiver of webhooks on this machine, on a socket of its own. */
export class WebhookReceiver {
  readonly requests: Received[] = [];
  /** Connections so far. */
  connections = 0;
  #answer: NonNullable<ReceiverOptions['answer']>;
  readonly #sockets = new Set<Socket>();
  readonly #server: ReturnType<typeof createPlain> | ReturnType<typeof createTls>;
  readonly #scheme: 'http' | 'https';

  private constructor({ certificate, answer }: ReceiverOptions) {
    this.#answer = answer ?? (() => ({ status: 204 }));
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      void this.#handle(request, response).catch(() => request.socket.destroy());
    };
    this.#scheme = certificate ? 'https' : 'http';
    this.#server = certificate ? createTls(certificate, handle) : createPlain(handle);
    this.#server.on('connection', (socket: Socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    });
    // Whoever does not trust the certificate goes away.
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(options: ReceiverOptions = {}): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(options);
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}/events`;
  }

  /** From now on it answers so. */
  answers(answer: NonNullable<ReceiverOptions['answer']>): void {
    this.#answer = answer;
  }

  /** Requests with events of a type, or about a subject. */
  about(text: string): readonly Received[] {
    return this.requests.filter(({ event }) => event.type === text || event.subject === text);
  }

  /** The requests about something, once there are so many. */
  async got(text: string, count = 1, seconds = takenOverSeconds): Promise<readonly Received[]> {
    return await until(`${count} requests about ${text}`, seconds, async () => {
      const found = this.about(text);
      return found.length >= count && found;
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    const event = eventSchema.parse(JSON.parse(body));
    const received = { method: request.method ?? '', path: request.url ?? '', headers, body, event };
    this.requests.push(received);
    const count = this.requests.filter((each) => each.headers['webhook-id'] === headers['webhook-id']).length;
    const reply = await this.#answer(received, count);
    if (reply === 'stall') return;
    if (reply === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    response.writeHead(reply.status, reply.headers);
    response.end(reply.body);
  }
}

/** Verifies a request as a receiver does, by the public library; throws where no signature is right. */
export function verify(secret: string, { body, headers }: Pick<Received, 'body' | 'headers'>): void {
  const webhook = secret.startsWith('whsec_')
    ? new Webhook(secret)
    : new Webhook(Buffer.from(secret), { format: 'raw' });
  webhook.verify(body, { ...headers });
}
