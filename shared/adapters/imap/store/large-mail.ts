import { Readable } from 'node:stream';
import { MemoryShare, type Share } from '../../../platform/memory-share.ts';
import { largeMailFrom, spentBuffers } from '../../../platform/spent-buffers.ts';
import { BrokenMail, type MailContent } from '../../mail-content.ts';
import { atom, bodyPeek } from '../command-arguments.ts';
import { type LocatedMail, sameFolder } from '../source-id.ts';
import type { ListingContext } from './listing.ts';
import { contentTooLarge, expectedSize, shortOf, smallContent, withheld } from './mail-content.ts';

/**
 * Octets of one partial fetch. The library holds an answer whole; with one part being read, one in the stream's buffer
 * and one on its way, some four of these are in memory, however large the mail.
 */
const parts = new MemoryShare({ bytes: 8 << 20, most: 1 << 20, least: 128 << 10 });
const partsHeld = 4;

/** Parts shorter than asked for, after which a mail that the server counts larger is taken to end. */
const MAX_SHORT_PARTS = 3;

/** A part of a mail, and how many octets were asked for. */
interface Octets {
  readonly octets: Buffer;
  readonly asked: number;
}

/** A part, or why there is none. */
type Part = Octets | { readonly content: MailContent };

/**
 * A large mail, or one of unknown size, as a stream of partial fetches (RFC 3501 section 6.4.5). The next part is on its
 * way while one is read.
 */
export async function fetchLarge(
  context: ListingContext,
  mail: LocatedMail,
  signal: AbortSignal,
): Promise<MailContent> {
  const share = parts.acquire(partsHeld);
  let content: MailContent | undefined;
  try {
    content = await fetchParts(context, mail, { share, signal });
    return content;
  } finally {
    if (content?.kind === 'stream') content.stream.once('close', () => share.release());
    else share.release();
  }
}

interface FetchPartsOptions {
  /** Of the memory for parts. */
  readonly share: Share;
  readonly signal: AbortSignal;
}

async function fetchParts(
  context: ListingContext,
  mail: LocatedMail,
  options: FetchPartsOptions,
): Promise<MailContent> {
  const { size } = mail.subject;
  const expected = expectedSize(context.connection.serverName, size);
  const first = await fetchPart(context, mail, 0, options).catch((error: unknown) => ({
    content: contentTooLarge(error),
  }));
  if ('content' in first) return first.content;
  const { octets, asked } = first;
  // A server that knows no partial fetch sends the whole mail.
  const whole = octets.length > asked || (size === undefined && octets.length < asked);
  if (whole || octets.length === 0) return smallContent(octets, size, expected);
  let received = 0;
  const read = readParts(context, mail, { ...options, first, expected });
  const counted = async function* () {
    for await (const part of read) {
      received += part.length;
      yield part;
    }
  };
  const stream = Readable.from(counted(), { objectMode: false, highWaterMark: asked });
  return { kind: 'stream', stream, ...shortOf(() => received, expected) };
}

interface PartsOptions extends FetchPartsOptions {
  readonly first: Octets;
  readonly expected: number | undefined;
}

async function* readParts(
  context: ListingContext,
  mail: LocatedMail,
  { first, expected, ...options }: PartsOptions,
): AsyncGenerator<Buffer> {
  let { octets, asked } = first;
  let received = 0;
  let shortParts = 0;
  for (;;) {
    received += octets.length;
    // A part shorter than asked for is the last: the server cuts at the end of the mail. Where it counts more, it is asked
    // whether there is more.
    if (octets.length < asked) shortParts += 1;
    const reached = expected === undefined || received >= expected;
    const ended = octets.length === 0 || shortParts > MAX_SHORT_PARTS || (octets.length < asked && reached);
    const next = ended ? undefined : fetchPart(context, mail, received, options);
    next?.catch(() => undefined);
    if (octets.length > 0) yield octets;
    if (received > largeMailFrom) spentBuffers(octets.length);
    if (next === undefined) return;
    const part = await next;
    if ('content' in part) {
      // Beyond the end some servers answer NIL, or nothing at all, instead of nothing in quotes.
      if (octets.length < asked && part.content.kind === 'broken') return;
      throw new BrokenMail('wentAway');
    }
    ({ octets, asked } = part);
    if (octets.length > asked) throw new BrokenMail('tooMuch');
  }
}

async function fetchPart(
  context: ListingContext,
  { scope, uid, subject }: LocatedMail,
  from: number,
  { share, signal }: FetchPartsOptions,
): Promise<Part> {
  const { connection, mailbox } = context;
  return connection.exclusive(signal, async () => {
    const opened = await mailbox.select(scope.folder, signal);
    if (!sameFolder(opened, scope)) return { content: { kind: 'gone' } };
    const asked = share.size;
    const items = [atom('UID'), bodyPeek([], [from, asked])];
    const { rows, refused } = await mailbox.fetchRows([uid], items, signal);
    const body = rows.get(uid)?.body;
    if (body) return { octets: body, asked };
    if (body === null) return { content: smallContent(null, subject.size) };
    const still = await mailbox.existing([uid], signal);
    return { content: still.has(uid) ? withheld(refused.get(uid)) : { kind: 'gone' } };
  });
}
