import { AddressError, type Mailbox, needsSmtpUtf8, parseMailboxes } from '../../accounts/address.ts';
import type { Account } from '../../accounts/rules.ts';
import type { Envelope } from '../../adapters/transport.ts';
import { readDate } from '../../mime/dates.ts';
import { defined } from '../../platform/defined.ts';
import { badInput, type Mistake, Refusal } from '../../platform/refusal.ts';
import { toPointer } from '../../platform/validation.ts';
import { CrlfStream, LineCheck } from './crlf-lines.ts';
import { defaultDsn, envelopeFrom, envelopeOf, type Parties, partyMistakes } from './envelope.ts';
import { newMessageId, normaliseMessageId } from './message-ids.ts';
import type { PreparedMail } from './prepared-mail.ts';
import { headerValue, MalformedMail, maxHeaderSection, type RawHeader, splitMail } from './raw-headers.ts';

/** Largest ready-made mail, in bytes: as large as the largest mail that is imported whole. It is streamed, never held. */
export const maxRawBytes = 150 * 1024 * 1024;

/** What a ready-made mail may lack. */
export interface FreezeRawOptions {
  /** Ms since the epoch, for a missing Date. */
  readonly now: number;
  /** For a missing Message-ID; default: a new one in the domain of From. */
  readonly messageId?: string;
}

/** A display name of 256 characters in encoded words, which take up to twelve octets each. */
const maxEncodedName = 256 * 16;

/** RFC 5322 section 3.6: at most one of each. To, Cc and Bcc are not among them: several are read as one. */
const singular = ['from', 'sender', 'reply-to', 'date', 'message-id', 'in-reply-to', 'references', 'subject'] as const;

/** Bcc would be seen by everybody; Return-Path is for the last server to write (RFC 5321 section 4.4). */
const removed: ReadonlySet<string> = new Set(['bcc', 'resent-bcc', 'return-path']);

const fields = { from: 'from', sender: 'sender', 'reply-to': 'replyTo', to: 'to', cc: 'cc', bcc: 'bcc' } as const;

interface ReadHeaders {
  readonly parties: Partial<Parties>;
  readonly messageId?: string;
  /** As it came; undefined where there is none. */
  readonly date?: string;
  readonly mistakes: readonly Mistake[];
}

/** Reads who a mail is from and for, with pointers as if they were fields of a JSON request. */
function readHeaders(headers: readonly RawHeader[]): ReadHeaders {
  const mistakes: Mistake[] = [];
  const named = (name: string) => headers.filter((header) => header.name.toLowerCase() === name);
  for (const name of singular)
    if (named(name).length > 1) mistakes.push({ pointer: `/${name}`, detail: 'is there more than once' });

  const mailboxes = (name: keyof typeof fields): readonly Mailbox[] | undefined => {
    try {
      return named(name)
        .map(headerValue)
        .filter((value) => value !== '')
        .flatMap((value) => parseMailboxes(value, { maxName: maxEncodedName }));
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      mistakes.push({ pointer: `/${fields[name]}`, detail: error.message });
      return undefined;
    }
  };
  const one = (name: 'from' | 'sender'): Mailbox | undefined => {
    const all = mailboxes(name);
    if (all !== undefined && all.length > 1) mistakes.push({ pointer: `/${name}`, detail: 'must be one address' });
    return all?.length === 1 ? all[0] : undefined;
  };

  const from = one('from');
  if (from === undefined && !mistakes.some(({ pointer }) => pointer === '/from'))
    mistakes.push({ pointer: '/from', detail: 'is required' });
  const parties = defined({
    from,
    sender: one('sender'),
    replyTo: mailboxes('reply-to'),
    to: mailboxes('to'),
    cc: mailboxes('cc'),
    bcc: mailboxes('bcc'),
  });

  const idHeader = named('message-id')[0];
  const messageId = idHeader && normaliseMessageId(headerValue(idHeader));
  if (idHeader !== undefined && (messageId === undefined || !headerValue(idHeader).startsWith('<')))
    mistakes.push({ pointer: '/message-id', detail: 'is not a Message-ID in angle brackets' });
  const dateHeader = named('date')[0];
  return { ...defined({ messageId, date: dateHeader && headerValue(dateHeader) }), parties, mistakes };
}

/** A day, for clocks and zones that are set wrong. */
const maxAheadMs = 86_400_000;

/** No mail was written before 1970 or in days to come; servers refuse such dates. */
function plausibleDate(header: string, now: number): number {
  const date = Date.parse(readDate(header) ?? '');
  return date >= 0 && date <= now + maxAheadMs ? date : now;
}

/** RFC 5322 section 3.3. */
function dateHeader(now: number): string {
  return `Date: ${new Date(now).toUTCString().replace('GMT', '+0000')}`;
}

/** Headers in UTF-8 need SMTPUTF8, which is asked for only when the envelope needs it (RFC 6531 section 3.1). */
function utf8Mistakes(headers: readonly RawHeader[], envelope: Envelope): readonly Mistake[] {
  if ([envelope.from, ...envelope.to].some(needsSmtpUtf8)) return [];
  return headers
    .filter(({ lines }) => /[\u0080-\u{10ffff}]/u.test(lines))
    .map(({ name }) => ({
      pointer: toPointer([name.toLowerCase()]),
      detail: 'holds characters outside ASCII, which must be encoded (RFC 2047, RFC 2231)',
    }));
}

/**
 * Makes a ready-made mail (`Content-Type: message/rfc822`) fit to be sent: the envelope comes from its headers, by the
 * same rules as a JSON request's. Line ends become CRLF; what cannot travel unchanged (a line over 998 octets, a NUL) is
 * refused rather than rewritten, because a signature may cover it. Only the headers are held. There are no Bcc and no
 * Return-Path, and Message-ID and Date are added where they are missing; a Date that cannot be counts as `now`. Throws
 * Refusal `invalid`; reading `content` throws the same at what cannot travel.
 */
export async function freezeRaw(
  source: AsyncIterable<Uint8Array>,
  account: Account,
  options: FreezeRawOptions,
): Promise<PreparedMail> {
  const chunks = crlfChunks(source)[Symbol.asyncIterator]();
  let start = Buffer.alloc(0);
  let done = false;
  // The empty line behind the longest headers is two octets.
  while (!done && start.length < maxHeaderSection + 2 && start.indexOf('\r\n\r\n') < 0) {
    const next = await chunks.next();
    done = next.done === true;
    if (!next.done) start = Buffer.concat([start, next.value]);
  }
  if (start.length === 0) throw new Refusal('invalid', 'The body is empty; a mail is expected.');
  try {
    const { headers, body } = splitMail(start);
    const { parties, messageId: given, date, mistakes } = readHeaders(headers);
    const more = mistakes.length > 0 ? [] : utf8Mistakes(headers, envelopeFor(account, parties).envelope);
    const all = [...mistakes, ...partyMistakes(account, parties), ...more];
    const { from } = parties;
    if (from === undefined || all.length > 0) throw badInput(all, 'The headers of the mail have mistakes.');

    const messageId = given ?? options.messageId ?? newMessageId(from.address);
    const lines = headers.filter(({ name }) => !removed.has(name.toLowerCase())).map((header) => header.lines);
    if (given === undefined) lines.unshift(`Message-ID: ${messageId}`);
    if (date === undefined) lines.unshift(dateHeader(options.now));
    const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8');
    const content = checked([head, body], chunks);
    return {
      content,
      ...envelopeFor(account, parties),
      messageId,
      headerFrom: from.address,
      date: plausibleDate(date ?? '', options.now),
    };
  } catch (error) {
    throw error instanceof MalformedMail ? new Refusal('invalid', error.message) : error;
  }
}

async function* crlfChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const ends = new CrlfStream();
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > maxRawBytes) throw new Refusal('tooLarge', `A mail is at most ${maxRawBytes} bytes.`);
    yield ends.push(chunk);
  }
  // The last line of a mail ends with CRLF like any other (RFC 5321 section 4.1.1.4).
  yield ends.end();
}

/** Passes the mail on as long as it can travel as it is. */
async function* checked(first: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  const lines = new LineCheck();
  const check = (chunk: Buffer): Buffer => {
    const mistake = lines.push(chunk);
    if (mistake !== undefined)
      throw new Refusal('invalid', `The mail cannot be sent as it is: ${mistake}. Encode the part it is in.`);
    return chunk;
  };
  for (const chunk of first) yield check(chunk);
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield check(next.value);
}

function envelopeFor(account: Account, parties: Partial<Parties>) {
  const { sender, to = [], cc = [], bcc = [] } = parties;
  return envelopeOf(envelopeFrom(account, sender), { to, cc, bcc }, defaultDsn(account));
}
