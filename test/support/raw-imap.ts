import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

export interface RawImapOptions {
  readonly host: string;
  readonly port: number;
  /** Present: TLS from the first byte. */
  readonly tls?: ConnectionOptions;
  readonly user: string;
  readonly password: string;
}

export interface AppendOptions {
  /** Such as `\\Seen`. */
  readonly flags?: readonly string[];
  /** INTERNALDATE. */
  readonly date?: Date;
}

/** One answer line of the server; each literal in it is cut out and stands in `literals`, in order. */
export interface RawLine {
  readonly text: string;
  readonly literals: readonly Buffer[];
}

export interface RawAnswer {
  readonly status: string;
  /** The untagged lines before the completion. */
  readonly lines: readonly RawLine[];
}

/** Longest wait for an answer, so that a test fails with a reason before its own limit. */
const ANSWER_LIMIT = 20_000;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * A tiny IMAP client over a bare socket, written apart from the product and its library: the independent witness of
 * tests. One command at a time; folder names are sent as given, quoted (modified UTF-7 is the caller's).
 */
export class RawImap {
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended: Error | undefined;
  #tag = 0;
  #selected: string | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      this.#wake?.();
    });
    const end = (error: Error) => {
      this.#ended ??= error;
      this.#wake?.();
    };
    socket.on('error', end);
    socket.on('close', () => end(new Error('connection closed')));
  }

  static async connect(options: RawImapOptions): Promise<RawImap> {
    const where = { host: options.host, port: options.port };
    const socket = options.tls ? connectTls({ ...options.tls, ...where }) : connectTcp(where);
    socket.setNoDelay(true);
    const client = new RawImap(socket);
    await client.#readLine();
    await client.ok(`LOGIN ${quote(options.user)} ${quote(options.password)}`);
    return client;
  }

  /** Sends one command line and reads up to its completion, whatever its status. */
  async command(line: string): Promise<RawAnswer> {
    const tag = `a${++this.#tag}`;
    this.#socket.write(`${tag} ${line}\r\n`);
    return this.#completion(tag);
  }

  /** As `command`, and throws unless the server says OK. */
  async ok(line: string): Promise<RawAnswer> {
    const answer = await this.command(line);
    if (!answer.status.startsWith('OK')) throw new Error(`${line.split(' ')[0]}: ${answer.status}`);
    return answer;
  }

  /** Answers the UID where the server says it (UIDPLUS). */
  async append(folder: string, bytes: Buffer, options: AppendOptions = {}): Promise<number | undefined> {
    const tag = `a${++this.#tag}`;
    const flags = options.flags ? ` (${options.flags.join(' ')})` : '';
    const date = options.date ? ` "${internalDate(options.date)}"` : '';
    this.#socket.write(`${tag} APPEND ${quote(folder)}${flags}${date} {${bytes.length}}\r\n`);
    const go = await this.#readLine();
    if (!go.text.startsWith('+')) throw new Error(`APPEND: ${go.text}`);
    this.#socket.write(bytes);
    this.#socket.write('\r\n');
    const { status } = await this.#completion(tag);
    if (!status.startsWith('OK')) throw new Error(`APPEND: ${status}`);
    const uid = /APPENDUID \d+ (\d+)/.exec(status)?.[1];
    return uid === undefined ? undefined : Number(uid);
  }

  /** BODY[] as the server sends it; undefined where there is no such mail. */
  async fetchBody(folder: string, uid: number): Promise<Buffer | undefined> {
    await this.select(folder);
    const { lines } = await this.ok(`UID FETCH ${uid} (UID BODY.PEEK[])`);
    return lines.find((line) => line.text.includes('BODY[]'))?.literals[0];
  }

  async uids(folder: string): Promise<number[]> {
    await this.select(folder);
    const { lines } = await this.ok('UID SEARCH ALL');
    const found = lines.find((line) => line.text.startsWith('* SEARCH'))?.text ?? '';
    return found.split(' ').slice(2).filter(Boolean).map(Number);
  }

  async flags(folder: string, uid: number): Promise<string[]> {
    await this.select(folder);
    const { lines } = await this.ok(`UID FETCH ${uid} (UID FLAGS)`);
    const flags = lines.map((line) => /FLAGS \(([^)]*)\)/.exec(line.text)?.[1]).find((found) => found !== undefined);
    return (flags ?? '').split(' ').filter((flag) => flag !== '' && flag !== '\\Recent');
  }

  async store(folder: string, uid: number, flags: string): Promise<void> {
    await this.select(folder);
    await this.ok(`UID STORE ${uid} ${flags}`);
  }

  /** Removes one mail, and only that one. */
  async expunge(folder: string, uid: number): Promise<void> {
    await this.store(folder, uid, '+FLAGS (\\Deleted)');
    await this.ok(`UID EXPUNGE ${uid}`);
  }

  /** Makes a folder unless it is there. */
  async createFolder(folder: string): Promise<void> {
    const { status } = await this.command(`CREATE ${quote(folder)}`);
    if (!status.startsWith('OK') && !status.includes('ALREADYEXISTS')) throw new Error(`CREATE: ${status}`);
  }

  /** Selects afresh each time, so that what others did is seen. */
  async select(folder: string): Promise<RawAnswer> {
    if (this.#selected === folder) {
      return this.ok('NOOP');
    }
    const answer = await this.ok(`SELECT ${quote(folder)}`);
    this.#selected = folder;
    return answer;
  }

  async close(): Promise<void> {
    if (this.#ended === undefined) {
      await this.command('LOGOUT').catch(() => undefined);
    }
    this.#socket.destroy();
  }

  async #completion(tag: string): Promise<RawAnswer> {
    const lines: RawLine[] = [];
    for (;;) {
      const line = await this.#readLine();
      if (line.text.startsWith(`${tag} `)) return { status: line.text.slice(tag.length + 1), lines };
      lines.push(line);
    }
  }

  async #readLine(): Promise<RawLine> {
    let text = '';
    const literals: Buffer[] = [];
    for (;;) {
      const end = await this.#until(() => {
        const at = this.#buffer.indexOf('\r\n');
        return at < 0 ? undefined : at;
      });
      text += this.#buffer.toString('latin1', 0, end);
      this.#buffer = this.#buffer.subarray(end + 2);
      const size = /\{(\d+)\}$/.exec(text)?.[1];
      if (size === undefined) return { text, literals };
      const length = Number(size);
      await this.#until(() => (this.#buffer.length >= length ? true : undefined));
      literals.push(Buffer.from(this.#buffer.subarray(0, length)));
      this.#buffer = this.#buffer.subarray(length);
    }
  }

  async #until<T>(ready: () => T | undefined): Promise<T> {
    const deadline = Date.now() + ANSWER_LIMIT;
    for (;;) {
      const found = ready();
      if (found !== undefined) return found;
      if (this.#ended) throw this.#ended;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('no answer from the IMAP server')), deadline - Date.now());
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
  }
}

function quote(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`;
}

function internalDate(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${two(date.getUTCDate())}-${months[date.getUTCMonth()]}-${date.getUTCFullYear()}`;
  return `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}
