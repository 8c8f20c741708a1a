import { createHash } from 'node:crypto';
import { StoreError } from '../store.ts';
import type { Body } from './body.ts';
import type { Pop3Connection } from './connection.ts';
import { nonsense, replyError } from './pop3-errors.ts';
import { isPassing, MAX_MESSAGES, parsePair, parseUidl, type Reply } from './replies.ts';
import type { MailName } from './source-id.ts';

/** A message as one session numbers it. */
export interface Entry {
  readonly number: number;
  /** '' where the server gives none. */
  readonly uidl: string;
}

/** Sizes asked for one by one up to here; above, one LIST gives all of them. */
const MAX_SINGLE_SIZES = 64;
/** Octets of a header section kept at most; what lies behind is not read. */
const MAX_HEADER = 1024 * 1024;
/** The same where headers of several mails are held at once: a Message-ID, a subject and a date are in there. */
const MAX_HEADER_OF_MANY = 64 * 1024;
/** Octets of an answer to TOP at most: some servers send the whole mail. */
const MAX_TOP = 64 * 1024 * 1024;
/** Octets read at most to know a mail by its content. */
const MAX_HASHED = 512 * 1024 * 1024;
/** Octets of a mail read past for nothing, where its header is wanted and the server knows no TOP; else the line is cut. */
const MAX_SKIPPED = 1024 * 1024;

/**
 * A maildrop as one signed-in session sees it: its messages and their numbers stay as they were at the sign-in
 * (RFC 1939 section 3), and mean nothing in another session.
 */
export class Maildrop {
  readonly connection: Pop3Connection;
  readonly entries: readonly Entry[];
  readonly #byUidl = new Map<string, number[]>();
  readonly #sizes = new Map<number, number>();
  #allSizes = false;
  readonly #hashes = new Map<number, string>();
  readonly #uidls: ReadonlyMap<number, string>;
  #canMark: boolean | undefined;

  private constructor(connection: Pop3Connection, entries: readonly Entry[]) {
    this.connection = connection;
    this.entries = entries;
    this.#uidls = new Map(entries.map(({ number, uidl }) => [number, uidl]));
    for (const { number, uidl } of entries) {
      const numbers = this.#byUidl.get(uidl);
      if (numbers) numbers.push(number);
      else this.#byUidl.set(uidl, [number]);
    }
  }

  /** Reads the unique ids. `mayLackIds`: the account may go by contents alone, since it deletes at once. */
  static async enter(
    connection: Pop3Connection,
    { mayLackIds }: { readonly mayLackIds: boolean },
    signal: AbortSignal,
  ): Promise<Maildrop> {
    const count = { value: 0 };
    let entries: Entry[] | undefined;
    await connection.each(
      ['STAT', 'UIDL'],
      async (reply, index) => {
        if (index === 0) count.value = readCount(connection, reply);
        else entries = await readIds(connection, reply, { count: count.value, mayLackIds }, signal);
      },
      signal,
    );
    return new Maildrop(connection, entries ?? []);
  }

  /** Whether a UIDL names no mail for certain: the server gave it twice, or gave none. */
  isAmbiguous(uidl: string): boolean {
    return uidl === '' || (this.#byUidl.get(uidl)?.length ?? 0) > 1;
  }

  numbersOf(uidl: string): readonly number[] {
    return this.#byUidl.get(uidl) ?? [];
  }

  /**
   * The messages that are this mail, ascending; more than one where the same mail lies there several times. Undefined
   * where the name is of a time when its UIDL was given once, and which of several it means cannot be known.
   */
  async find(name: MailName, size: number | undefined, signal: AbortSignal): Promise<readonly number[] | undefined> {
    const { uidl, sha256 } = name;
    const numbers = this.numbersOf(uidl);
    if (sha256 === undefined) return numbers.length > 1 ? undefined : numbers;
    const sizes = size === undefined || numbers.length < 2 ? undefined : await this.sizes(numbers, signal);
    const found: number[] = [];
    for (const number of numbers) {
      if (sizes && sizes.get(number) !== size) continue;
      if ((await this.hash(number, signal)) === sha256) found.push(number);
    }
    return found;
  }

  /** Sizes in octets as the server counts them; none for a message whose size it refuses to give. */
  async sizes(numbers: readonly number[], signal: AbortSignal): Promise<ReadonlyMap<number, number>> {
    const missing = this.#allSizes ? [] : numbers.filter((number) => !this.#sizes.has(number));
    if (missing.length > MAX_SINGLE_SIZES) {
      await this.#listSizes(signal);
    } else {
      await this.connection.each(
        missing.map((number) => `LIST ${number}`),
        (reply) => {
          const [number, size] = (reply.status === 'ok' && parsePair(reply.text)) || [];
          if (number !== undefined && size !== undefined) this.#sizes.set(number, size);
        },
        signal,
      );
    }
    return this.#sizes;
  }

  /** All sizes, by one question. Who asks for so many will fetch mails: what `canMark` asks goes with it. */
  async #listSizes(signal: AbortSignal): Promise<void> {
    const last = this.#canMark === undefined ? this.markable([...this.#uidls.keys()]) : undefined;
    let refusal: Reply | undefined;
    await this.connection.each(
      ['LIST', ...(last === undefined ? [] : [this.mark(last)])],
      async (reply, index) => {
        if (index > 0) {
          this.#canMark = last !== undefined && this.isMark(last, reply);
          return;
        }
        if (reply.status !== 'ok') {
          refusal = reply;
          return;
        }
        for (const line of await this.connection.lines('LIST', signal)) {
          const pair = parsePair(line);
          if (pair) this.#sizes.set(...pair);
        }
      },
      signal,
    );
    // Thrown behind the last answer: the session can be used still.
    if (refusal) throw replyError(refusal, 'LIST');
    this.#allSizes = true;
  }

  /** The last of these messages that has an id, which `mark` needs; undefined: none has. */
  markable(numbers: readonly number[]): number | undefined {
    return numbers.findLast((number) => (this.#uidls.get(number) ?? '') !== '');
  }

  /**
   * Whether the server answers `UIDL n` so that the answer cannot be taken for another command's; asked once a session.
   * `number`: of a message that has an id.
   */
  async canMark(number: number, signal: AbortSignal): Promise<boolean> {
    this.#canMark ??= this.isMark(number, await this.connection.command(this.mark(number), signal));
    return this.#canMark;
  }

  /** A command that changes nothing, whose answer no other command has. */
  mark(number: number): string {
    return `UIDL ${number}`;
  }

  /** Whether this is the answer to `mark`, and the number still means the same message. */
  isMark(number: number, { status, text }: Reply): boolean {
    const entry = status === 'ok' ? parseUidl(text) : undefined;
    return (
      entry !== undefined && entry.uidl !== '' && entry.number === number && entry.uidl === this.#uidls.get(number)
    );
  }

  /**
   * SHA-256 of a message's octets; undefined where the server does not give it. Read once a session, kept nowhere.
   * `countedAs`: the size that the server gave when the message was imported, by which its last line end is judged.
   */
  async hash(
    number: number,
    signal: AbortSignal,
    { countedAs }: { readonly countedAs?: number } = {},
  ): Promise<string | undefined> {
    const known = countedAs === undefined ? this.#hashes.get(number) : undefined;
    if (known !== undefined) return known;
    const size = countedAs ?? (await this.sizes([number], signal)).get(number);
    const doing = `RETR ${number}`;
    const reply = await this.connection.command(doing, signal);
    if (reply.status !== 'ok') {
      passing(reply, doing);
      return undefined;
    }
    const body = this.connection.body(doing, size);
    const hash = createHash('sha256');
    for (let octets = await body.next(signal); octets; octets = await body.next(signal)) {
      hash.update(octets);
      if (body.received > MAX_HASHED) throw this.connection.fail(nonsense(doing, 'a mail that does not end'));
    }
    const digest = hash.digest('hex');
    if (countedAs === undefined) this.#hashes.set(number, digest);
    return digest;
  }

  /** Whether TOP may be tried: CAPA says so, or nothing is known. */
  get mayTop(): boolean {
    return this.connection.capabilities === undefined || this.connection.has('TOP');
  }

  /** Header sections by TOP, up to 1 MiB of one and 64 KiB of each of several; undefined where the server does not give one. */
  async headers(numbers: readonly number[], signal: AbortSignal): Promise<readonly (Buffer | undefined)[]> {
    const most = numbers.length > 1 ? MAX_HEADER_OF_MANY : MAX_HEADER;
    const read = async (reply: Reply, index: number) =>
      reply.status === 'ok'
        ? await this.#header(this.connection.body(`TOP ${numbers[index]}`), { most, skipped: MAX_TOP }, signal)
        : passing(reply, 'TOP');
    const commands = numbers.map((number) => `TOP ${number} 0`);
    return this.connection.each(commands, read, signal);
  }

  /** As `headers`, by RETR, for one message. Where the mail is long the session ends with it. */
  async headerOfWhole(number: number, signal: AbortSignal): Promise<Buffer | undefined> {
    const doing = `RETR ${number}`;
    const reply = await this.connection.command(doing, signal);
    return reply.status === 'ok'
      ? await this.#header(this.connection.body(doing), { most: MAX_HEADER, skipped: MAX_SKIPPED }, signal)
      : passing(reply, doing);
  }

  /** The header section of an answer. What follows is read past; where that is more than `skipped`, the line is cut. */
  async #header(
    body: Body,
    { most, skipped }: { readonly most: number; readonly skipped: number },
    signal: AbortSignal,
  ): Promise<Buffer> {
    let read: Buffer = Buffer.alloc(0);
    let header: Buffer | undefined;
    for (let octets = await body.next(signal); octets; octets = await body.next(signal)) {
      if (header === undefined) {
        // From where the end may have begun in what was there before.
        const from = Math.max(0, read.length - 3);
        read = read.length === 0 ? octets : Buffer.concat([read, octets]);
        const end = read.indexOf('\r\n\r\n', from);
        if (end >= 0) header = Buffer.from(read.subarray(0, Math.min(end + 4, most)));
        else if (read.length > most) header = Buffer.from(read.subarray(0, most));
      } else if (body.received > header.length + skipped) {
        this.connection.fail(new StoreError('connection', 'the session was left with a mail read in part'));
        break;
      }
    }
    return header ?? read;
  }
}

/** A refusal that concerns one message alone passes; one that concerns the session is thrown. */
function passing(reply: Reply, doing: string): undefined {
  if (isPassing(reply)) throw replyError(reply, doing);
  return undefined;
}

function readCount(connection: Pop3Connection, reply: Reply): number {
  if (reply.status === 'error') throw replyError(reply, 'STAT');
  const pair = parsePair(reply.text);
  if (!pair) throw connection.fail(nonsense('STAT', 'an answer that makes no sense'));
  if (pair[0] > MAX_MESSAGES) throw connection.fail(nonsense('STAT', `${pair[0]} mails`, 'LISTING_TOO_LONG'));
  return pair[0];
}

/** The server says that it knows no such command: not that it cannot now. */
const unknownCommand =
  /unknown|invalid|unrecogni[sz]ed|unimplemented|not (implemented|supported|recogni[sz]ed)|bad command/i;

async function readIds(
  connection: Pop3Connection,
  reply: Reply,
  { count, mayLackIds }: { readonly count: number; readonly mayLackIds: boolean },
  signal: AbortSignal,
): Promise<Entry[]> {
  if (reply.status !== 'ok') {
    const said = connection.capabilities === undefined ? unknownCommand.test(reply.text) : !connection.has('UIDL');
    const lacks = said && reply.code === undefined;
    if (!lacks) throw replyError(reply, 'UIDL');
    if (!mayLackIds) {
      throw new StoreError('permission', 'the server gives its mails no lasting ids (no UIDL)', {
        code: 'NO_UIDL',
        hint: 'Without them mail that stays would come again and again. Set import.delete to "immediately", or use IMAP.',
      });
    }
    return Array.from({ length: count }, (_, index) => ({ number: index + 1, uidl: '' }));
  }
  const entries: Entry[] = [];
  for (const line of await connection.lines('UIDL', signal)) {
    const entry = parseUidl(line);
    if (!entry) throw connection.fail(nonsense('UIDL', 'a line that makes no sense'));
    entries.push(entry);
  }
  const distinct = new Set(entries.map(({ number }) => number));
  if (entries.length !== count || distinct.size !== count) {
    // Whoever forgets or deletes by this listing must not take mails for gone when they are not.
    throw connection.fail(nonsense('UIDL', `the server counts ${count} mails and lists ${distinct.size}`, 'LISTING'));
  }
  return entries.sort((a, b) => a.number - b.number);
}
