import { noise, random } from '../test/support/mails.ts';

/** A mail, and what a mail service that takes it apart has to store beside it. */
export interface BenchMail {
  readonly messageId: string;
  readonly bytes: Buffer;
  /** Bytes of its texts, as a description of the mail holds them. */
  readonly bodyBytes: number;
  /** Bytes of each attachment, decoded. */
  readonly attachments: readonly number[];
}

/** 73 MB in 2,000 mails. */
export const meanMailBytes = 36_500;

const words = [
  ...['the', 'offer', 'invoice', 'delivery', 'please', 'meeting', 'figures', 'for', 'attached', 'and', 'with'],
  ...['regards', 'Angebot', 'Grüße', 'Prüfung', 'Besprechung', 'möchten', 'wir', 'Ihnen', 'dass', '–', 'Anhang'],
];

/** Bell-shaped around 0, most of it within 2; enough for a plausible spread of sizes. */
function bell(next: () => number): number {
  return next() + next() + next() + next() + next() + next() - 3;
}

function prose(length: number, next: () => number): string {
  const lines: string[] = [];
  for (let written = 0; written < length; ) {
    const line = Array.from({ length: 10 }, () => words[Math.floor(next() * words.length)]).join(' ');
    lines.push(line);
    written += line.length + 2;
  }
  return lines.join('\r\n');
}

function page(text: string): string {
  const rows = text.split('\r\n').map((line) => `<tr><td class="cell"><p>${line}</p></td></tr>`);
  return `<html><head><meta charset="utf-8"></head><body><table>\r\n${rows.join('\r\n')}\r\n</table></body></html>`;
}

/** RFC 2045 section 6.8: lines of at most 76 characters. */
function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/.{76}/g, '$&\r\n');
}

const textPart = (text: string) =>
  `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${text}\r\n`;
const htmlPart = (html: string) =>
  `Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${html}\r\n`;

function multipart(subtype: string, boundary: string, parts: readonly string[]): string {
  const inner = parts.map((part) => `--${boundary}\r\n${part}`).join('');
  return `Content-Type: multipart/${subtype}; boundary="${boundary}"\r\n\r\n${inner}--${boundary}--\r\n`;
}

interface Shape {
  readonly text: number;
  readonly html: boolean;
  /** Encoded bytes of each attachment. */
  readonly attachments: readonly number[];
}

function compose(n: number, { text, html, attachments }: Shape, next: () => number): BenchMail {
  const messageId = `<bench-${n}-${Math.floor(next() * 1e9).toString(36)}@example.net>`;
  const plain = prose(text, next);
  const rich = html ? page(plain) : '';
  const body = html ? multipart('alternative', `alt-${n}`, [textPart(plain), htmlPart(rich)]) : textPart(plain);
  const decoded = attachments.map((encoded) => Math.max(1, Math.floor((encoded / 78) * 57)));
  const files = decoded.map(
    (size, index) =>
      `Content-Type: application/pdf; name="document-${n}-${index}.pdf"\r\nContent-Transfer-Encoding: base64\r\n` +
      `Content-Disposition: attachment; filename="document-${n}-${index}.pdf"\r\n\r\n${base64(noise(size, next))}\r\n`,
  );
  const headers = [
    `Received: from mx${n % 7}.example.net (mx${n % 7}.example.net [192.0.2.${n % 250}]) by mail.example.com; ${date(n)}`,
    `From: =?utf-8?Q?Absender_f=C3=BCr_${n}?= <sender${n}@example.net>`,
    'To: Corpus <corpus@example.com>',
    `Subject: =?utf-8?Q?Nachricht_Nummer_${n}_f=C3=BCr_Sie?=`,
    `Message-ID: ${messageId}`,
    `Date: ${date(n)}`,
    'MIME-Version: 1.0',
  ];
  const content = files.length === 0 ? body : multipart('mixed', `mix-${n}`, [body, ...files]);
  const bytes = Buffer.from(`${headers.join('\r\n')}\r\n${content}`);
  return { messageId, bytes, bodyBytes: Buffer.byteLength(plain) + Buffer.byteLength(rich), attachments: decoded };
}

/** RFC 5322 section 3.3. */
function date(n: number): string {
  return new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toUTCString().replace('GMT', '+0000');
}

/**
 * Mails as an office gets them: 45 % short texts, 30 % text with HTML, 25 % with one attachment or two, which make most
 * of the bytes. The attachments are scaled so that all mails together have `count` times 36.5 kB, to within a per cent.
 */
export function officeMails(count: number, seed: number): readonly BenchMail[] {
  const next = random(seed);
  const shapes = Array.from({ length: count }, (): Shape => {
    const kind = next();
    if (kind < 0.45) return { text: Math.round(2_000 * Math.exp(bell(next))), html: false, attachments: [] };
    const text = Math.round(6_000 * Math.exp(0.7 * bell(next)));
    if (kind < 0.75) return { text, html: true, attachments: [] };
    const attachments = Array.from({ length: next() < 0.2 ? 2 : 1 }, () => 60_000 * Math.exp(1.3 * bell(next)));
    return { text, html: next() < 0.5, attachments };
  });
  const wanted = count * meanMailBytes;
  const files = shapes.flatMap(({ attachments }) => attachments).reduce((sum, size) => sum + size, 0);
  // HTML repeats the text with its mark-up; headers and MIME take the rest.
  const rest = shapes.reduce((sum, { text, html }) => sum + 700 + (html ? text * 2.6 : text), 0);
  const scale = Math.max(0.01, (wanted - rest) / Math.max(1, files));
  return shapes.map((shape, n) =>
    compose(n, { ...shape, attachments: shape.attachments.map((size) => size * scale) }, next),
  );
}

/** Small mails alike in size: texts of some 2 kB, each with the given attachments (bytes before base64). */
export function smallMails(count: number, seed: number, attachments: readonly number[] = []): readonly BenchMail[] {
  const next = random(seed);
  const encoded = attachments.map((size) => (size / 57) * 78);
  return Array.from({ length: count }, (_, n) => compose(n, { text: 2_000, html: false, attachments: encoded }, next));
}

/** One mail with a single attachment, of at most `size` bytes in all and hardly less. */
export function largeMail(size: number, seed: number): BenchMail {
  return compose(0, { text: 2_000, html: false, attachments: [size - 4_000] }, random(seed));
}
