import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { folderCommands } from './folder-commands.ts';
import { LineReader } from './line-reader.ts';
import { keepsSequence, mailCommands } from './mail-commands.ts';
import type { Mailbox } from './mailbox.ts';
import { Session } from './session.ts';
import { bad, ImapRefusal, no, parseValues, textOf, type Value } from './values.ts';

export interface ConnectionOptions {
  /** The mailbox of a user whose password is right. */
  readonly signIn: (user: string, password: string) => Mailbox | undefined;
  /** STARTTLS is offered with it. */
  readonly secureContext: SecureContext | undefined;
}

const commands = new Map(Object.entries({ ...folderCommands, ...mailCommands }));
/** Bad commands in a row before a client that speaks something else is sent away. */
const maxMistakes = 20;

/** Serves one client until it leaves. Never throws. */
export async function serveConnection(socket: Socket, options: ConnectionOptions): Promise<void> {
  // A client that goes away ends the reading; there is nothing more to do about it.
  socket.on('error', () => undefined);
  const connection = new Connection(socket, options);
  try {
    await connection.run();
  } catch {
    // A line or literal beyond its limit: the stream cannot be read on.
    await connection.session.send('* BYE Too large');
  } finally {
    connection.session.stream.end();
  }
}

class Connection {
  readonly session: Session;
  readonly #options: ConnectionOptions;
  #socket: Socket;
  #reader: LineReader;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new LineReader(socket);
    this.session = new Session(socket);
  }

  async run(): Promise<void> {
    await this.session.send(`* OK [CAPABILITY ${this.#capabilities()}] Mailroom local mailbox`);
    let mistakes = 0;
    while (mistakes < maxMistakes) {
      const parts = await this.#reader.command(() => void this.session.send('+ Go on'));
      if (parts === undefined) return;
      const match = /^([^\s(){%*"\\+]+) +([A-Za-z]+)(?: (.*))?$/s.exec(String(parts[0]));
      if (!match) {
        mistakes++;
        await this.session.send('* BAD Cannot read the command');
        continue;
      }
      const [, tag = '', word = '', rest = ''] = match;
      const name = word.toUpperCase();
      try {
        const values = parseValues([rest, ...parts.slice(1)]);
        const answer = await this.#carryOut(name, values);
        if (!keepsSequence(name)) await this.session.announceChanges();
        await this.session.send(`${tag} OK ${answer}`);
        mistakes = 0;
      } catch (error) {
        if (!(error instanceof ImapRefusal)) throw error;
        if (error.status === 'BAD') mistakes++;
        await this.session.send(`${tag} ${error.status} ${error.message}`);
      }
      if (name === 'LOGOUT') return;
      if (name === 'STARTTLS') await this.#upgrade();
    }
  }

  #carryOut(name: string, values: readonly Value[]): Promise<string> {
    const command = commands.get(name);
    if (command) return command(this.session, values);
    switch (name) {
      case 'CAPABILITY':
        return this.#respond(`* CAPABILITY ${this.#capabilities()}`, 'Capabilities');
      case 'ID':
        return this.#respond('* ID ("name" "Mailroom local mailbox")', 'Pleased to meet you');
      case 'LOGOUT':
        return this.#respond('* BYE Good bye', 'Signed out');
      case 'NOOP':
        return Promise.resolve('Nothing done');
      case 'LOGIN':
        return this.#signIn(textOf(values[0]), textOf(values[1]));
      case 'AUTHENTICATE':
        return this.#authenticate(values);
      case 'IDLE':
        return this.#idle();
      case 'STARTTLS':
        if (this.#secured || !this.#options.secureContext) throw bad('STARTTLS is not offered');
        return Promise.resolve('Begin TLS');
      default:
        throw bad(`Unknown command ${name}`);
    }
  }

  get #secured(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  #capabilities(): string {
    const starttls = this.#options.secureContext && !this.#secured ? ' STARTTLS' : '';
    return `IMAP4rev1 LITERAL+ SASL-IR ID IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE AUTH=PLAIN${starttls}`;
  }

  async #respond(response: string, answer: string): Promise<string> {
    await this.session.send(response);
    return answer;
  }

  async #signIn(user: string, password: string): Promise<string> {
    if (this.session.mailbox) throw bad('Signed in already');
    const mailbox = this.#options.signIn(user, password);
    if (!mailbox) throw no('[AUTHENTICATIONFAILED] User or password is wrong');
    this.session.mailbox = mailbox;
    return `[CAPABILITY ${this.#capabilities()}] Signed in`;
  }

  /** PLAIN (RFC 4616), with or without its response on the same line (RFC 4959). */
  async #authenticate(values: readonly Value[]): Promise<string> {
    if (textOf(values[0]).toUpperCase() !== 'PLAIN') throw no('Only PLAIN is offered');
    let response = values[1] && textOf(values[1]);
    if (response === undefined) {
      await this.session.send('+ ');
      response = await this.#reader.line();
    }
    if (response === undefined || response === '*') throw bad('Given up');
    const [, user, password, ...more] = Buffer.from(response, 'base64').toString('utf8').split('\0');
    if (user === undefined || password === undefined || more.length > 0) throw bad('Cannot read the response');
    return this.#signIn(user, password);
  }

  /** RFC 2177: reports changes until the client says DONE. */
  async #idle(): Promise<string> {
    const folder = this.session.selected();
    let announcing = this.session.send('+ Idling').then(() => this.session.announceChanges());
    const announce = () => {
      announcing = announcing.then(() => this.session.announceChanges());
    };
    folder.on('changed', announce);
    const line = await this.#reader.line();
    folder.off('changed', announce);
    await announcing;
    if (line?.toUpperCase() !== 'DONE') throw bad('Expected DONE');
    return 'Idled';
  }

  /** What came in clear behind STARTTLS could be from anybody (CVE-2021-33515), so it ends the connection. */
  async #upgrade(): Promise<void> {
    const { secureContext } = this.#options;
    if (this.#reader.pending > 0 || !secureContext) {
      this.#socket.destroy();
      return;
    }
    const secure = new TLSSocket(this.#socket, { isServer: true, secureContext });
    secure.on('error', () => undefined);
    this.#socket = secure;
    this.#reader = new LineReader(secure);
    this.session.stream = secure;
  }
}
