import { Readable } from 'node:stream';
import type { MailContent } from '../store.ts';
import { atom, bodyPeek } from './commands.ts';
import type { ListingContext } from './listing.ts';
import { smallContent } from './mail-content.ts';
import { type LocatedMail, sameFolder } from './source-id.ts';

/**
 * Octets of one partial fetch. The library holds an answer whole; with one part being read, one in the stream's buffer
 * and one on its way, some four of these are in memory, however large the mail.
 */
const PART = 1024 * 1024;

/** Servers whose RFC822.SIZE is an estimate unless told otherwise (Set-ImapSettings -EnableExactRFC822Size). */
const estimatingServers = /Microsoft[ .]Exchange/i;

/** A part of a mail, or why there is none. */
type Part = { readonly octets: Buffer } | { readonly content: MailContent };

/**
 * A large mail, or one of unknown size, as a stream of partial fetches (RFC 3501 section 6.4.5). The next part is on its
 * way while one is read. A stream ends with an error that is not a StoreError where this one mail is at fault: shorter
 * than the server counts, or gone half-way; with a StoreError where the connection is.
 */
export async function fetchLarge(
  context: ListingContext,
  mail: LocatedMail,
  signal: AbortSignal,
): Promise<MailContent> {
  const { size } = mail.subject;
  const first = await fetchPart(context, mail, 0, signal);
  if ('content' in first) return first.content;
  const { octets } = first;
  // A server that knows no partial fetch sends the whole mail.
  const whole = octets.length > PART || (size === undefined && octets.length < PART);
  if (whole || octets.length === 0) return smallContent(octets, size);
  const expected = estimatingServers.test(context.connection.serverName) ? undefined : size;
  const parts = readParts(context, mail, octets, expected, signal);
  return { kind: 'stream', stream: Readable.from(parts, { objectMode: false, highWaterMark: PART }) };
}

async function* readParts(
  context: ListingContext,
  mail: LocatedMail,
  first: Buffer,
  expected: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let octets = first;
  let received = 0;
  for (;;) {
    received += octets.length;
    // A part shorter than asked for is the last: the server cuts at the end of the mail.
    const next = octets.length < PART ? undefined : fetchPart(context, mail, received, signal);
    next?.catch(() => undefined);
    if (octets.length > 0) yield octets;
    if (next === undefined) break;
    const part = await next;
    if ('content' in part) throw new Error('the mail went away while it was read');
    octets = part.octets;
    if (octets.length > PART) throw new Error('the server sent more of the mail than was asked for');
  }
  if (expected !== undefined && received < expected) {
    throw new Error(`the server sent ${received} of ${expected} bytes`);
  }
}

async function fetchPart(
  context: ListingContext,
  { scope, uid, subject }: LocatedMail,
  from: number,
  signal: AbortSignal,
): Promise<Part> {
  const { connection, mailbox } = context;
  return connection.exclusive(signal, async () => {
    const opened = await mailbox.select(scope.folder, signal);
    if (!sameFolder(opened, scope)) return { content: { kind: 'gone' } };
    const items = [atom('UID'), bodyPeek([], [from, PART])];
    const { rows, refused } = await mailbox.fetchRows([uid], items, signal);
    const body = rows.get(uid)?.body;
    if (body) return { octets: body };
    if (body === null) return { content: smallContent(null, subject.size) };
    const still = await mailbox.existing([uid], signal);
    const reason = refused.get(uid) ?? 'the server sent no content for this mail';
    return { content: still.has(uid) ? { kind: 'broken', reason } : { kind: 'gone' } };
  });
}
