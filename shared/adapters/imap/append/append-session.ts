import type { ServerContext } from '../../connections/server-context.ts';
import type { Opened, PooledSession } from '../../connections/session-pool.ts';
import { StoreError } from '../../store.ts';
import { cutTrouble } from '../../trouble.ts';
import { readResponseCode, readStatus, readWords } from '../answers.ts';
import { atom, type CommandNode, literalHead, quoted } from '../command-arguments.ts';
import type { ImapConnection } from '../connection.ts';
import { encodeFolderName } from '../folder-name.ts';
import { connectionLost } from '../imap-errors.ts';
import { formatInternalDate } from '../internal-date.ts';
import type { ImapConnectionConfig } from '../library-options.ts';
import type { Literal } from '../literal.ts';
import { openConnection } from '../open-connection.ts';
import { parseUid } from '../source-id.ts';
import type { FolderMark } from './append-note.ts';
import { connectionTrouble, isRefusal } from './append-trouble.ts';

/** Words of the server that are kept. */
const MAX_WORDS = 300;

/** A mail, and how it is to lie in its folder. */
export interface MailToAppend {
  readonly folder: string;
  readonly flags: readonly string[];
  /** ms since the epoch. */
  readonly date: number;
  readonly size: number;
  readonly literal: Literal;
}

/** One signed-in connection that mail is appended by, one at a time. */
export class AppendSession implements PooledSession {
  mails = 0;
  readonly connection: ImapConnection;

  constructor(connection: ImapConnection) {
    this.connection = connection;
  }

  get alive(): boolean {
    return this.connection.alive;
  }

  onEnd(ended: () => void): () => void {
    return this.connection.onEnd(ended);
  }

  quit(): Promise<void> {
    return this.connection.close();
  }

  cut(): void {
    this.connection.fail(new StoreError('connection', 'the connection was cut on this side', { code: 'CLOSED' }));
  }

  /** The server's words as they may be kept: it has been seen to echo what it was sent. */
  scrub(text: string): string {
    return this.connection.scrub(text).slice(0, MAX_WORDS);
  }

  /** Where the folder's UIDs stand; undefined where the server does not say. Throws StoreError when it is gone. */
  async mark(folder: string, signal: AbortSignal): Promise<FolderMark | undefined> {
    let items: ReadonlyMap<string, string> = new Map();
    try {
      const asked = [quoted(encodeFolderName(folder)), [atom('UIDVALIDITY'), atom('UIDNEXT')]];
      await this.connection.command('STATUS', asked, signal, {
        STATUS: (answer) => {
          items = readStatus(answer);
        },
      });
    } catch (error) {
      // Who may add to a folder need not have the right to read it (RFC 4314 section 4): the answer to APPEND shows.
      if (isRefusal(error)) return undefined;
      throw error instanceof StoreError ? error : connectionLost(error);
    }
    const [uidValidity, uidNext] = ['UIDVALIDITY', 'UIDNEXT'].map((name) => parseUid(items.get(name)));
    return uidValidity === undefined || uidNext === undefined ? undefined : { uidValidity, uidNext };
  }

  /**
   * APPEND (RFC 3501 section 6.3.11). Answers the server's words, with APPENDUID (RFC 4315) where it is given. NO and BAD
   * throw the library's error, a lost connection StoreError.
   */
  async append(mail: MailToAppend, signal: AbortSignal): Promise<string> {
    this.mails += 1;
    const attributes: CommandNode[] = [
      quoted(encodeFolderName(mail.folder)),
      ...(mail.flags.length > 0 ? [mail.flags.map(atom)] : []),
      quoted(formatInternalDate(mail.date)),
      // Synchronizing even where the server takes others (RFC 7888): what it refuses is never sent, and a connection
      // that died while it was idle shows so before the commit point.
      literalHead(mail.size),
    ];
    const { response } = await this.connection.commandWithLiteral('APPEND', attributes, mail.literal, signal);
    const code = readResponseCode(response);
    const appended = code?.name === 'APPENDUID' ? `[APPENDUID ${code.arguments.join(' ')}] ` : '';
    return this.scrub(`${appended}${readWords(response)}`.trim());
  }
}

/** Reads the credentials, connects and signs in as the account says. Never rejects. */
export async function openAppendSession(
  config: ImapConnectionConfig,
  context: ServerContext,
  signal: AbortSignal,
): Promise<Opened<AppendSession>> {
  try {
    return { ok: true, session: new AppendSession(await openConnection(config, context, signal)) };
  } catch (error) {
    return { ok: false, trouble: signal.aborted ? cutTrouble(signal) : connectionTrouble(error) };
  }
}
