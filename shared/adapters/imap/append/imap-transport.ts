import { isAcquired } from '../../../platform/acquired.ts';
import { withSlot } from '../../connections/connection-slots.ts';
import type { ServerContext } from '../../connections/server-context.ts';
import { type PoolLimits, SessionPool } from '../../connections/session-pool.ts';
import { OutgoingText } from '../../outgoing-text.ts';
import { receiptForAll, textTroubles } from '../../receipts.ts';
import type { FrozenMail, MailTransport, Receipt, ResolveOptions, SendOptions, Trouble } from '../../transport.ts';
import { cutTrouble, TransportClosed } from '../../trouble.ts';
import type { ImapConnection } from '../connection.ts';
import type { ImapConnectionConfig } from '../library-options.ts';
import { Literal } from '../literal.ts';
import { openConnection } from '../open-connection.ts';
import { findSpecialFolder, seeSpecialFolder } from '../special-folder.ts';
import { verifyAppend } from '../verify.ts';
import { noteText, readNote } from './append-note.ts';
import { type AppendSession, openAppendSession } from './append-session.ts';
import { appendRefusal, connectionTrouble, isRefusal, tooLarge } from './append-trouble.ts';
import { findAppended } from './find-appended.ts';

/** Where mail is appended, and how it looks there. */
export interface AppendTarget {
  folder(connection: ImapConnection, signal: AbortSignal): Promise<string>;
  /** The same, without making it; undefined where it is made only with the first mail. */
  existingFolder(connection: ImapConnection, signal: AbortSignal): Promise<string | undefined>;
  readonly flags: readonly string[];
}

/** A folder whose mail is new to whoever reads it. */
export const newMailIn = (folder: string): AppendTarget => ({
  folder: async () => folder,
  existingFolder: async () => folder,
  flags: [],
});

/** The \Sent folder, whose mail its owner has seen. */
export const sentMail: AppendTarget = {
  folder: (connection, signal) => findSpecialFolder(connection, '\\Sent', signal),
  existingFolder: (connection, signal) => seeSpecialFolder(connection, '\\Sent', signal),
  flags: ['\\Seen'],
};

/** What the transport needs from outside; `maxConnections` counts for this process. */
export interface ImapTransportContext extends ServerContext, PoolLimits {}

const lostHint =
  'The server took the whole mail and its answer was lost: it may be in the folder. A search for its Message-ID finds out.';
const notAppendedTrouble: Trouble = {
  scope: 'connection',
  code: 'NOT_APPENDED',
  hint: 'An answer was lost, and the mail is not in the folder. It is tried again.',
};

/**
 * Delivers by IMAP: the mail is appended to a folder, with its date as INTERNALDATE. All recipients share the outcome,
 * since an APPEND knows none. Connections stay open between mails for half a minute. Nothing is ever appended a second
 * time once the server asked for the text; `resolveUncertain` finds out about lost answers.
 */
export function createImapTransport(
  config: ImapConnectionConfig,
  context: ImapTransportContext,
  target: AppendTarget,
): MailTransport {
  const closing = new AbortController();
  const { slots } = context;
  const open = (signal: AbortSignal) => openAppendSession(config, context, signal);
  const pool = new SessionPool<AppendSession>(slots ? withSlot(open, slots) : open, context);

  /** Undefined: an idle connection turned out dead before the server asked for the text. */
  async function attempt(mail: FrozenMail, options: SendOptions, fresh: boolean): Promise<Receipt | undefined> {
    const { signal } = options;
    const lent = await pool.acquire(signal, { fresh });
    if (!isAcquired(lent)) return receiptForAll(mail, 'deferred', lent);
    const { session, reused } = lent;
    let noted: Promise<void> | undefined;
    const commit = async () => {
      await noted;
      await options.beforeCommit();
    };
    const outgoing = new OutgoingText(mail, commit, signal);
    let folder: string | undefined;
    try {
      folder = await target.folder(session.connection, signal);
      const limit = session.connection.capabilityValue('APPENDLIMIT');
      if (limit !== undefined && mail.size > limit) return receiptForAll(mail, 'rejected', tooLarge(mail.size, limit));
      const mark = await session.mark(folder, signal);
      // On its way while the text is; the commit point waits for it.
      noted = mark && options.remember(noteText(config, folder, mark));
      noted?.catch(() => undefined);
      const { date, size } = mail;
      const literal = new Literal(outgoing.stream);
      const reply = await session.append({ folder, flags: target.flags, date, size, literal }, signal);
      return { recipients: mail.envelope.to.map((address) => ({ address, outcome: 'accepted', code: 'OK', reply })) };
    } catch (error) {
      // A receipt must not overtake a commit that is under way.
      await outgoing.cut();
      if (isRefusal(error)) return await refused(session, mail, { folder, error }, signal);
      session.cut();
      if (reused && !outgoing.opened && !signal.aborted) return undefined;
      return lost(mail, outgoing, error, signal);
    } finally {
      await outgoing.cut();
      await noted?.catch(() => undefined);
      lent.release();
    }
  }

  async function refused(
    session: AppendSession,
    mail: FrozenMail,
    { folder, error }: { readonly folder: string | undefined; readonly error: unknown },
    signal: AbortSignal,
  ): Promise<Receipt> {
    const { outcome, trouble } = await appendRefusal(session.connection, folder ?? '', error, signal);
    const { reply } = trouble;
    return receiptForAll(mail, outcome, reply === undefined ? trouble : { ...trouble, reply: session.scrub(reply) });
  }

  async function resolveUncertain(mail: FrozenMail, options: ResolveOptions): Promise<Receipt | undefined> {
    const { signal, sinceCommitMs } = options;
    const lent = await pool.acquire(signal);
    if (!isAcquired(lent)) return undefined;
    const { session } = lent;
    try {
      const folder = await target.folder(session.connection, signal);
      const mark = readNote(options.remembered, config, folder);
      switch (await findAppended(session.connection, { mail, folder, mark, sinceCommitMs }, signal)) {
        case 'present':
          return receiptForAll(mail, 'accepted');
        case 'absent':
          return receiptForAll(mail, 'deferred', notAppendedTrouble);
        case 'unknown':
          return undefined;
      }
    } catch {
      // Whatever stands in the way of the search, it says nothing about the mail.
      return undefined;
    } finally {
      // STATUS must not be asked of a folder that is open (RFC 3501 section 6.3.10).
      await session.quit();
      lent.release();
    }
  }

  const cut = <T extends { readonly signal: AbortSignal }>(options: T): T => ({
    ...options,
    signal: AbortSignal.any([options.signal, closing.signal]),
  });

  return {
    protocol: config.protocol,
    async send(mail, given) {
      const options = cut(given);
      const answer = (await attempt(mail, options, false)) ?? (await attempt(mail, options, true));
      if (!answer) throw new Error('a fresh connection counted as an idle one');
      return answer;
    },
    resolveUncertain: (mail, options) => resolveUncertain(mail, cut(options)),
    verify: ({ signal }) =>
      verifyAppend(config, {
        signal,
        network: context.network,
        open: (limited) => openConnection(config, context, limited),
        folder: target.existingFolder,
      }),
    async close() {
      closing.abort(new TransportClosed());
      await pool.close();
    },
  };
}

/** No answer, or none that counts: what it means depends on whether the last bytes were let go. */
function lost(mail: FrozenMail, outgoing: OutgoingText, error: unknown, signal: AbortSignal): Receipt {
  if (outgoing.failure) return receiptForAll(mail, 'deferred', textTroubles[outgoing.failure]);
  const trouble = signal.aborted ? cutTrouble(signal) : connectionTrouble(error);
  if (!outgoing.committed) return receiptForAll(mail, 'deferred', trouble);
  return receiptForAll(mail, 'uncertain', { ...trouble, scope: 'connection', hint: lostHint });
}
