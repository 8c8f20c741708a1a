import { createHash } from 'node:crypto';
import { StoreError } from '../store.ts';
import type { Body } from './body.ts';
import type { Pop3Connection } from './connection.ts';
import { nonsense, replyError } from './pop3-errors.ts';
import { isPassing, parsePair, parseUidl, type Reply } from './replies.ts';
import type { MailName } from './source-id.ts';

/** A message as one session numbers it. */
export interface Entry {
  readonly number: number;
  /** '' where the server gives none. */
  readonly uidl: string;
}

/** Sizes asked for one by one up to here; above, LIST tells all of them at once. */
const MAX_SINGLE_SIZES = 64;
/** Octets of a header section kept at most; what lies behind is not read. */
const MAX_HEADER = 1024 * 1024;
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

  private constructor(connection: Pop3Connection, entries: readonly Entry[]) {
    this.connection = connection;
    this.entries = entries;
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
        if (index === 0) count.value = readPair(connection, reply, 'STAT')[0];
        else entries = await readIds(connection, reply, count.value, mayLackIds, signal);
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

  /** Sizes in octets as the server counts them; none for a message it refuses to tell of. */
  async sizes(numbers: readonly number[], signal: AbortSignal): Promise<ReadonlyMap<number, number>> {
    const missing = this.#allSizes ? [] : numbers.filter((number) => !this.#sizes.has(number));
    if (missing.length > MAX_SINGLE_SIZES) {
      await this.connection.ok('LIST', signal);
      for (const line of await this.connection.lines('LIST', signal)) {
        const pair = parsePair(line);
        if (pair) this.#sizes.set(...pair);
      }
      this.#allSizes = true;
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

  /** SHA-256 of a message's octets; undefined where the server does not give it. Read once a session, kept nowhere. */
  async hash(number: number, signal: AbortSignal): Promise<string | undefined> {
    const known = this.#hashes.get(number);
    if (known !== undefined) return known;
    const size = (await this.sizes([number], signal)).get(number);
    const doing = `RETR ${number}`;
    const reply = await this.connection.command(doing, signal);
    if (reply.status !== 'ok') {
      passing(reply, doing);
      return undefined;
    }
    const body = this.connection.body(doing, size);
    const hash = createHash('sha256');
    for (let octets = await body.next(signal); octets; octets = await body.next(signal)) hash.update(octets);
    const digest = hash.digest('hex');
    this.#hashes.set(number, digest);
    return digest;
  }

  /** Whether TOP may be tried: CAPA says so, or nothing is known. */
  get mayTop(): boolean {
    return this.connection.capabilities === undefined || this.connection.has('TOP');
  }

  /** Header sections by TOP, up to 1 MiB each; undefined where the server does not give one. */
  async headers(numbers: readonly number[], signal: AbortSignal): Promise<readonly (Buffer | undefined)[]> {
    const read = async (reply: Reply, index: number) =>
      reply.status === 'ok'
        ? await this.#header(this.connection.body(`TOP ${numbers[index]}`), Number.POSITIVE_INFINITY, signal)
        : passing(reply, 'TOP');
    const commands = numbers.map((number) => `TOP ${number} 0`);
    return this.connection.each(commands, read, signal);
  }

  /** As `headers`, by RETR, for one message. Where the mail is long the session ends with it. */
  async headerOfWhole(number: number, signal: AbortSignal): Promise<Buffer | undefined> {
    const doing = `RETR ${number}`;
    const reply = await this.connection.command(doing, signal);
    return reply.status === 'ok'
      ? await this.#header(this.connection.body(doing), MAX_SKIPPED, signal)
      : passing(reply, doing);
  }

  /** The header section of an answer. What follows is read past; where that is more than `skipped`, the line is cut. */
  async #header(body: Body, skipped: number, signal: AbortSignal): Promise<Buffer> {
    let read: Buffer = Buffer.alloc(0);
    let header: Buffer | undefined;
    for (let octets = await body.next(signal); octets; octets = await body.next(signal)) {
      if (header === undefined) {
        // From where the end may have begun in what was there before.
        const from = Math.max(0, read.length - 3);
        read = read.length === 0 ? octets : Buffer.concat([read, octets]);
        const end = read.indexOf('\r\n\r\n', from);
        if (end >= 0) header = read.subarray(0, end + 4);
        else if (read.length > MAX_HEADER) header = read.subarray(0, MAX_HEADER);
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

function readPair(connection: Pop3Connection, reply: Reply, doing: string): readonly [number, number] {
  if (reply.status === 'error') throw replyError(reply, doing);
  const pair = parsePair(reply.text);
  if (!pair) throw connection.fail(nonsense(doing, 'an answer that makes no sense'));
  return pair;
}

/** The server says that it knows no such command: not that it cannot now. */
const unknownCommand =
  /unknown|invalid|unrecogni[sz]ed|unimplemented|not (implemented|supported|recogni[sz]ed)|bad command/i;

async function readIds(
  connection: Pop3Connection,
  reply: Reply,
  count: number,
  mayLackIds: boolean,
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
    // Whoever forgets or deletes by this listing must not be told that mails are gone when they are not.
    throw connection.fail(nonsense('UIDL', `the server counts ${count} mails and lists ${distinct.size}`, 'LISTING'));
  }
  return entries.sort((a, b) => a.number - b.number);
}
