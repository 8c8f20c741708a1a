/** Run by `memory.test.ts` in a process of its own, with `--expose-gc`: reads one huge mail and prints what it took. */
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readMime } from './read-mime.ts';

const MEGABYTE = 1024 * 1024;
const [shape = '', sizeText = ''] = process.argv.slice(2);
const size = Number(sizeText);

const top = 'From: a@example.com\r\nMIME-Version: 1.0\r\n';
const line = `${'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAx'}\r\n`;

/** The beginning of a mail, and what it goes on with until it is as long as asked. */
const shapes: Readonly<Record<string, readonly [head: string, filler: string]>> = {
  attachment: [
    `${top}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n`,
    line,
  ],
  text: [`${top}Content-Type: text/plain; charset=utf-8\r\n\r\n`, 'Grüße aus einer sehr langen Mail.\r\n'],
  japanese: [
    `${top}Content-Type: text/plain; charset=iso-2022-jp\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n`,
    '=1B$B%F%9%H=1B(B\r\n',
  ],
  line: [`${top}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n`, '-'],
  header: [`${top}Subject: `, 'x'],
  headers: [`${top}`, 'X-Filler: some value of a header field that nobody asked for\r\n'],
  flowed: [`${top}Content-Type: text/plain; format=flowed\r\n\r\n`, 'A paragraph that never ends \r\n'],
  html: [`${top}Content-Type: text/html; charset=utf-8\r\n\r\n`, '<img src="cid:a@example.com"><p>Grüße</p>\r\n'],
  uuencode: [`${top}\r\nbegin 644 a.bin\r\n`, `M${"('".repeat(30)}\r\n`],
  noEmptyLine: [`${top}Subject: x\r\n`, 'Words where a field should be.\r\n'],
  preamble: [`${top}Content-Type: multipart/mixed; boundary=b\r\n\r\n`, '--no delimiter\r\n'],
  carriageReturns: [`${top}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n`, '\r'],
};

async function* bytes(total: number, sample: () => Promise<void>): AsyncGenerator<Buffer> {
  const [head, filler] = shapes[shape] ?? ['', ''];
  yield Buffer.from(head);
  const block = Buffer.from(filler.repeat(Math.ceil((64 * 1024) / filler.length)));
  for (let sent = 0; sent < total; sent += block.length) {
    // A fresh buffer each time, as sockets give.
    yield Buffer.from(block);
    if (Math.floor(sent / (10 * MEGABYTE)) !== Math.floor((sent + block.length) / (10 * MEGABYTE))) await sample();
  }
}

let delivered = 0;
async function drain(content: Readable): Promise<void> {
  for await (const chunk of content) if (Buffer.isBuffer(chunk)) delivered += chunk.length;
}

async function read(total: number, sample: () => Promise<void>) {
  return await readMime(Readable.from(bytes(total, sample)), {
    attachment: (_part, content) => drain(content),
    longBody: (_kind, content) => drain(content),
  });
}

/** Bytes that are in use: what is garbage already does not count. */
async function live(): Promise<number> {
  // Buffers found dead in one round are freed after it.
  globalThis.gc?.();
  await nextTurn();
  globalThis.gc?.();
  await nextTurn();
  const usage = process.memoryUsage();
  return usage.heapUsed + usage.arrayBuffers;
}

await read(8 * MEGABYTE, async () => {});
const before = { live: await live(), rss: process.memoryUsage.rss() };
let most = 0;
let mostRss = 0;
delivered = 0;
const mail = await read(size, async () => {
  mostRss = Math.max(mostRss, process.memoryUsage.rss() - before.rss);
  most = Math.max(most, (await live()) - before.live);
});
console.log(JSON.stringify({ most, mostRss, delivered, defects: mail.defects }));
