import { connect, createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, frozenMail, outcomes, sendOptions } from '../../../../test/contract/transport.contract.ts';
import { type Dovecot, startDovecot } from '../../../../test/support/dovecot.ts';
import { imapTransport } from '../../../../test/support/imap-transport-subject.ts';
import { memoryInUse } from '../../../../test/support/memory-in-use.ts';

/** The largest mail that can be handed in. */
const LARGEST = 157_286_400;
/** What is read ahead of the socket, and what is dead and not swept yet; the mail is five times that. */
const ALLOWED_GROWTH = 32 * 1024 * 1024;
/** As often as no more of the text was read, one look after the other, it has stopped. */
const LOOKS = 20;

/** A server that stops reading after a mebibyte, until it is asked to go on. */
async function slowServer(port: number): Promise<{ port: number; goOn(): void; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  let free = false;
  const server = createServer((client) => {
    const back = connect(port, '127.0.0.1');
    let taken = 0;
    for (const socket of [client, back]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    back.pipe(client);
    client.on('data', (chunk: Buffer) => {
      taken += chunk.length;
      if (!back.write(chunk)) {
        client.pause();
        back.once('drain', () => client.resume());
      }
      if (!free && taken > 1 << 20) {
        back.removeAllListeners('drain');
        client.pause();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    port: address.port,
    goOn() {
      free = true;
      for (const socket of sockets) socket.resume();
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('memory', () => {
  let dovecot: Dovecot;
  beforeAll(async () => {
    dovecot = await startDovecot();
  });
  afterAll(() => dovecot.remove());

  it('stays bounded while a slow server is given a mail of 150 MiB (trap: huge mail eats the memory)', async () => {
    const { text, ...small } = frozenMail();
    const line = `${'m'.repeat(76)}\r\n`;
    const piece = Buffer.from(line.repeat(Math.floor((2 << 20) / line.length)));
    const pieces = Math.floor((LARGEST - text.length) / piece.length);
    let before = 0;
    let given = 0;
    async function* bytes() {
      before = memoryInUse();
      yield text;
      for (given = 0; given < pieces; given += 1) {
        // Each its own bytes, as they come from storage.
        yield Buffer.from(piece);
      }
    }
    const size = text.length + pieces * piece.length;
    const server = await slowServer(dovecot.ports.imap);
    const transport = imapTransport({ port: server.port, timeout: 60_000 });
    const mail = { ...small, size, open: async () => Readable.from(bytes(), { objectMode: false, highWaterMark: 0 }) };
    const sending = transport.send(mail, sendOptions({ signal: AbortSignal.timeout(170_000) }));
    // Until no more is read from the source: the rest waits for the server.
    let looked = 0;
    let growths: number[] = [];
    await eventually('the text stops', () => {
      if (given !== looked) growths = [];
      looked = given;
      // Behind this the buffers of the server, which is in the same process, would count too.
      if (given > 0) growths.push(memoryInUse() - before);
      return growths.length === LOOKS;
    });
    expect(given).toBeLessThan(pieces / 3);
    // What a busy process has not swept yet is no growth: the smallest look counts.
    expect(Math.min(...growths)).toBeLessThan(ALLOWED_GROWTH);
    server.goOn();
    expect(outcomes(await sending)).toEqual(['accepted']);
    await transport.close();
    await server.stop();
    const witness = await dovecot.client();
    await witness.select('INBOX');
    const { lines } = await witness.ok('UID FETCH 1 (RFC822.SIZE)');
    expect(lines[0]?.text).toContain(`RFC822.SIZE ${size}`);
    await witness.close();
  });
});
