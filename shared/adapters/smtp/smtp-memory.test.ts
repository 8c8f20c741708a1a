import { createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { frozenMail, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { memoryInUse } from '../../../test/support/memory-in-use.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { smtpConfig } from '../../../test/support/smtp-subject.ts';
import { createSmtpTransport } from './smtp-transport.ts';

const mebibyte = 1024 * 1024;
/** As a text is read from storage. */
const pieceBytes = 2 * mebibyte;
const pieces = 24;
/** A few pieces under way; the mail is four times that. */
const allowedGrowth = 12 * mebibyte;

interface Taker {
  readonly port: number;
  /** The whole text has come. */
  ended(): boolean;
  /** Answers its end. */
  accept(): void;
  stop(): Promise<void>;
}

/** A server that takes a mail, keeps nothing of it, and answers its end only when it is told to. */
async function startTaker(): Promise<Taker> {
  const sockets = new Set<Socket>();
  let inText = false;
  let ended = false;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.write('220 taker.example ESMTP\r\n');
    let tail = '';
    socket.on('data', (chunk: Buffer) => {
      if (inText) {
        tail = (tail + chunk.subarray(-5).toString('latin1')).slice(-5);
        ended = tail === '\r\n.\r\n';
        return;
      }
      for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
        inText = line === 'DATA';
        // 8BITMIME: else the text is read a first time, to see whether it needs that.
        socket.write(
          inText ? '354 go on\r\n' : line.startsWith('EHLO') ? '250-taker\r\n250 8BITMIME\r\n' : '250 ok\r\n',
        );
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    port: address.port,
    ended: () => ended,
    accept() {
      inText = false;
      for (const socket of sockets) socket.write('250 2.0.0 kept\r\n');
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

it('of a large mail nothing is kept that has left (trap: huge mail eats the memory)', {
  timeout: 180_000,
}, async () => {
  const server = await startTaker();
  const transport = createSmtpTransport(smtpConfig({ port: server.port, timeout: 30_000 }), {
    ...onThisMachine,
    secret: async () => 'swordfish',
    maxConnections: 1,
  });
  try {
    const { text, ...small } = frozenMail();
    const line = `${'m'.repeat(76)}\r\n`;
    const piece = Buffer.from(line.repeat(Math.floor(pieceBytes / line.length)));
    async function* bytes() {
      yield text;
      // Each its own bytes, as they come from storage.
      for (let n = 0; n < pieces; n += 1) yield Buffer.from(piece);
    }
    const size = text.length + pieces * piece.length;
    const mail = { ...small, size, open: async () => Readable.from(bytes(), { objectMode: false, highWaterMark: 0 }) };
    const before = memoryInUse();
    const sending = transport.send(mail, sendOptions({ signal: AbortSignal.timeout(150_000) }));
    await expect.poll(server.ended).toBe(true);
    // What a busy process has not swept yet is no growth.
    await expect.poll(() => memoryInUse() - before).toBeLessThan(allowedGrowth);
    server.accept();
    expect(outcomes(await sending)).toEqual(['accepted']);
  } finally {
    await transport.close();
    await server.stop();
  }
});
