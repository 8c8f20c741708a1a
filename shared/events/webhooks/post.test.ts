import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { makeCertificate } from '../../../local/certificate.ts';
import { WebhookReceiver } from '../../../test/support/webhook-receiver.ts';
import { post } from './post.ts';
import { TargetNetwork } from './target-network.ts';

const network = new TargetNetwork(['127.0.0.0/8']);
const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** A server that does this with each connection. */
async function serve(onSocket: (socket: Socket, count: number) => void): Promise<string> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    count += 1;
    onSocket(socket, count);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/`;
}

const send = async (target: string, caller: AbortSignal = new AbortController().signal) => {
  const url = new URL(target);
  return await post({ url, headers: { 'content-type': 'application/json' }, body: '{}' }, network.policy(url), caller);
};

const event = {
  specversion: '1.0',
  id: 'a',
  source: '/accounts/corpus',
  type: 'mailroom.webhook.test',
  subject: 'corpus',
  time: '2026-03-01T09:30:00.000Z',
  datacontenttype: 'application/json',
  data: {},
};

it('gives up on a receiver that does not answer within 15 seconds', async () => {
  const began = performance.now();
  expect(await send(await serve((socket) => socket.resume()))).toEqual({ code: 'TIMEOUT' });
  expect(performance.now() - began).toBeGreaterThan(14_500);
}, 60_000);

it('gives up on an answer whose headers never end', async () => {
  const target = await serve((socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    const timer = setInterval(() => socket.write('x-more: 1\r\n'), 100);
    socket.once('close', () => clearInterval(timer));
  });
  expect(await send(target)).toEqual({ code: 'TIMEOUT' });
}, 60_000);

it('takes an answer for what its status says, however long its body is', async () => {
  let sent = 0;
  const closed: Promise<void>[] = [];
  const target = await serve((socket) => {
    closed.push(new Promise((resolve) => socket.once('close', () => resolve())));
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
    const more = () => {
      while (!socket.destroyed && socket.write(`${(4096).toString(16)}\r\n${'x'.repeat(4096)}\r\n`)) sent += 4096;
    };
    socket.on('drain', more);
    more();
  });
  expect(await send(target)).toEqual({ status: 200 });
  // The connection is closed by whoever has heard enough.
  await Promise.all(closed);
  expect(sent).toBeGreaterThan(0);
});

it.each([
  ['headers of a megabyte', (socket: Socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1_000_000)}\r\n\r\n`)],
  ['no HTTP', (socket: Socket) => socket.end('220 mail.example.com ESMTP\r\n')],
])('does not take %s for an answer', async (_, say) => {
  expect(await send(await serve(say))).toEqual({ code: expect.stringMatching(/^HPE_/) });
});

it('sends again at once over a new connection where a kept one was closed meanwhile', async () => {
  let first: Socket | undefined;
  let requests = 0;
  const target = await serve((socket, count) => {
    if (count === 1) first = socket;
    socket.on('data', () => {
      requests += 1;
      // The second request over the first connection meets its end.
      if (count === 1 && requests === 2) socket.resetAndDestroy();
      else socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    });
  });
  expect(await send(target)).toEqual({ status: 204 });
  expect(await send(target)).toEqual({ status: 204 });
  expect(first?.destroyed).toBe(true);
  expect(requests).toBe(3);
});

it('ends for a caller that ends', async () => {
  const caller = new AbortController();
  const target = await serve((socket) => socket.once('data', () => caller.abort()));
  expect(await send(target, caller.signal)).toEqual({ code: 'ABORTED' });
  expect(await send(target, caller.signal)).toEqual({ code: 'ABORTED' });
});

it('does not trust a certificate that nobody vouches for', async () => {
  const receiver = await WebhookReceiver.start({ certificate: await makeCertificate() });
  ends.push(() => receiver.stop());
  expect(await send(receiver.url)).toEqual({ code: expect.stringMatching(/CERT|UNABLE/) });
  expect(receiver.requests).toEqual([]);
});

it.each(['http://127.0.0.1', 'http://localhost', 'http://127.1', 'http://[::ffff:127.0.0.1]'])(
  'connects to nothing by %s where it is not allowed',
  async (origin) => {
    const receiver = await WebhookReceiver.start();
    ends.push(() => receiver.stop());
    const url = new URL(`${origin}:${receiver.port}/`);
    const closed = new TargetNetwork([]);
    const request = { url, headers: {}, body: JSON.stringify(event) };
    expect(await post(request, closed.policy(url), new AbortController().signal)).toEqual({ code: 'ADDRESS_REFUSED' });
    expect(receiver.connections).toBe(0);
  },
);
