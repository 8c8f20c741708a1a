import { createHash } from 'node:crypto';

/** A small seeded generator (mulberry32): the same seed gives the same mails and the same moments. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface TestMail {
  readonly messageId: string;
  readonly bytes: Buffer;
  readonly sha256: string;
}

export interface MailShape {
  readonly n: number;
  /** Bytes of the attachment before base64; 0: no attachment. */
  readonly attachment?: number;
  /** Bytes of the text. */
  readonly text?: number;
}

/** A plausible mail; `n` makes it unlike any other. */
export function testMail({ n, attachment = 0, text = 400 }: MailShape, next: () => number): TestMail {
  const messageId = `<mail-${n}-${Math.floor(next() * 1e9).toString(36)}@example.net>`;
  const words = ['Angebot', 'invoice', 'Grüße', 'delivery', 'Prüfung', 'figures', '—', 'meeting'];
  let body = `Mail number ${n}\r\n`;
  while (body.length < text) {
    body += `${Array.from({ length: 9 }, () => words[Math.floor(next() * words.length)]).join(' ')}\r\n`;
  }
  const headers = [
    `From: Sender ${n} <sender${n}@example.net>`,
    'To: corpus@example.com',
    `Subject: =?utf-8?B?${Buffer.from(`Nachricht für ${n}`).toString('base64')}?=`,
    `Message-ID: ${messageId}`,
    `Date: ${new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toUTCString().replace('GMT', '+0000')}`,
    'MIME-Version: 1.0',
  ];
  const plain = `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${body}`;
  const text8 =
    attachment === 0
      ? `${headers.join('\r\n')}\r\n${plain}`
      : [
          ...headers,
          'Content-Type: multipart/mixed; boundary="b0"',
          '',
          '--b0',
          plain,
          '--b0',
          `Content-Type: application/octet-stream; name="data-${n}.bin"`,
          'Content-Transfer-Encoding: base64',
          `Content-Disposition: attachment; filename="data-${n}.bin"`,
          '',
          base64Lines(noise(attachment, next)),
          '--b0--',
          '',
        ].join('\r\n');
  const bytes = Buffer.from(text8);
  return { messageId, bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Bytes that no compression shortens, quickly: one random block, counted through. */
export function noise(length: number, next: () => number): Buffer {
  const block = Buffer.from(Array.from({ length: 4096 }, () => Math.floor(next() * 256)));
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += block.length) {
    block.writeUInt32LE(at, 0);
    block.copy(bytes, at);
  }
  return bytes;
}

function base64Lines(bytes: Buffer): string {
  return bytes.toString('base64').replace(/.{76}/g, '$&\r\n');
}

/** Mails of mixed sizes: mostly small, some with attachments, a few large, the last ones up to `largest` bytes. */
export function mixedMails(count: number, seed: number, largest: number): TestMail[] {
  const next = random(seed);
  return Array.from({ length: count }, (_, n) => {
    const kind = next();
    if (n >= count - 2) return testMail({ n, attachment: Math.floor(largest * 0.72) }, next);
    if (kind < 0.6) return testMail({ n, text: 300 + Math.floor(next() * 8_000) }, next);
    if (kind < 0.9) return testMail({ n, attachment: 2_000 + Math.floor(next() * 60_000) }, next);
    if (kind < 0.98) return testMail({ n, attachment: 150_000 + Math.floor(next() * 300_000) }, next);
    return testMail({ n, attachment: 1_000_000 + Math.floor(next() * 1_500_000) }, next);
  });
}
