import type { MailContent } from './mail-content.ts';
import type { StoreFolder } from './store-folder.ts';
import type { Step } from './verify/steps.ts';

/**
 * Names one mail at its source, for good: `store` (protocol family, host, user; or the Graph userId) and `scope`
 * (IMAP: folder and UIDVALIDITY; POP3 and Graph: empty) and `item` (UID, UIDL, immutable id).
 * Within one scope `item` sorts in the order of arrival where the protocol has one (IMAP: ten digits).
 * Compared byte for byte: Graph ids differ in letter case alone.
 */
export interface SourceId {
  readonly store: string;
  readonly scope: string;
  readonly item: string;
}

/** A mail as a listing shows it. */
export interface ListedMail {
  readonly source: SourceId;
  /** The folder as the account names it. */
  readonly folder: string;
  /** Bytes as the server counts them; absent where the server does not say. */
  readonly size?: number;
  /** Milliseconds since the epoch: IMAP INTERNALDATE, Graph receivedDateTime; absent on POP3. */
  readonly receivedAt?: number;
  readonly draft?: boolean;
  /** Only with `details`: the Message-ID header with its angle brackets, and the decoded subject. */
  readonly messageId?: string;
  readonly subject?: string;
}

/** Where the next round begins. The adapter's own JSON; opaque to everyone else. */
export type Checkpoint = Readonly<Record<string, string | number>>;

/** One page of a round over a folder. */
export interface ChangePage {
  /** Mail that is in the folder and was not there, or may not have been, at the checkpoint. Duplicates are allowed. */
  readonly mails: readonly ListedMail[];
  /** To be saved once every mail of this page is checked in or pending. */
  readonly checkpoint: Checkpoint;
  /** Mails after this page that this round will still bring, where the server says. */
  readonly remaining?: number;
  /** What the server did wrong, for the operator, where the round is gone on with in another way. */
  readonly trouble?: string;
}

/** Where a folder ends, by the server's own order. */
export interface FolderEnd {
  readonly scope: string;
  /** The last item given out: what arrives later sorts behind it. */
  readonly item: string;
  /** When the latest mail came by the server's clock, in ms; absent where the folder is empty. */
  readonly newestAt?: number;
}

/** How a folder is listed. */
export interface ChangesOptions {
  readonly signal: AbortSignal;
  /** Mails a page; a page may be shorter, or empty. */
  readonly pageSize: number;
  /** Message-ID and subject are wanted (a reconcile, a dry run). */
  readonly details?: boolean;
}

/** A listed mail with its bytes, or with the reason why there are none. */
export interface FetchedMail {
  readonly mail: ListedMail;
  readonly content: MailContent;
}

/** How contents are fetched. */
export interface FetchOptions {
  readonly signal: AbortSignal;
  /** Only the header section (mail above the account's `maxMessageSize`). */
  readonly headersOnly?: boolean;
  /**
   * When it is aborted, nobody waits any longer for what has not come: an adapter that can break an answer off without
   * losing its session does so, and is free for what comes next.
   */
  readonly limit?: AbortSignal;
  /**
   * Is called once the server has been asked for the last of the mails, where the session can say so: what is fetched next
   * may be asked for right behind it, and nobody waits until these have been handed out. It may be called again.
   */
  readonly asked?: () => void;
}

/** What to do with an original. */
export type Disposal =
  | { readonly action: 'markRead' }
  | { readonly action: 'delete'; readonly mode: 'trash' | 'permanent' }
  | { readonly action: 'move'; readonly folder: string };

/** The server refused this one original, and perhaps not the others. */
export interface DisposalRefused {
  readonly refused: StoreError;
  /** The folder that holds a copy of it by now: what failed is the removal, which is all that a next try has to do. */
  readonly copiedTo?: string;
  /** No answer came: the server may have done it. */
  readonly unanswered?: true;
}

/**
 * `markedOnly`: an IMAP server with neither UIDPLUS nor MOVE. `moved`: it is in another folder than it was imported from.
 * `mismatch`: that id names another mail now. Both are left alone.
 */
export type DisposalOutcome = 'done' | 'gone' | 'markedOnly' | 'moved' | 'mismatch' | DisposalRefused;

/** An original that a disposal names: with what the ledger knows of it, so that another mail is never hit. */
export interface DisposalTarget {
  readonly source: SourceId;
  readonly folder: string;
  /** Compared (where `verify` is asked for) only if the protocol's ids may name another mail one day. */
  readonly size?: number;
  readonly receivedAt?: number;
  /** Of the octets as they were imported: decides where ids do not last and the size is another one now. */
  readonly sha256?: string;
  /** What an earlier try answered as `copiedTo`. */
  readonly copiedTo?: string;
}

/** How originals are disposed of. */
export interface DisposeOptions {
  readonly signal: AbortSignal;
  /** Look first whether it is still that mail and there: asked for whenever it was not fetched in this same session. */
  readonly verify: boolean;
}

/** What a protocol can do; defaults and warnings of the account model follow from it. */
export interface StoreAbilities {
  readonly markRead: boolean;
  /** The same mail has the same bytes whenever it is read (not Graph, which rebuilds MIME). */
  readonly stableBytes: boolean;
  /**
   * Within a scope an id names one mail for good. Not on POP3: there ids may change, or be those of several mails at
   * once, and no scope shows it. The ledger then also knows a mail by its id and content (`{id} {hash}` for `{id}`).
   */
  readonly lastingIds: boolean;
}

/** What the account means to do with the store, for a verification. */
export interface VerifyStoreOptions {
  readonly signal: AbortSignal;
  /** Folders that are imported, as the account names them. */
  readonly folders: readonly string[];
  readonly moveTo?: string;
  /** Originals are marked, moved or deleted. */
  readonly changes: boolean;
}

/** How a session is opened. */
export interface OpenOptions {
  /** Ends the opening. */
  readonly signal: AbortSignal;
  /** As long as the session lives, cuts its connections at once, whatever it is doing. */
  readonly cut?: AbortSignal;
  /** Connections that it may have; absent: as many as it has at most. */
  readonly connections?: number;
  /** The server is not called before this is fulfilled; where it is rejected, `open` is rejected with the same. */
  readonly admitted?: Promise<void>;
}

/** Where mail is fetched from. Cheap to make; `open` connects. */
export interface MailStore {
  readonly protocol: string;
  readonly abilities: StoreAbilities;
  /** `SourceId.store` of every mail of this store: protocol family, host and user, or the Graph userId. */
  readonly identity: string;
  /** Connections that a session has at most, if it gets so many. Absent: one. */
  readonly connections?: number;
  /** Connects and signs in. Throws StoreError. */
  open(options: OpenOptions): Promise<StoreSession>;
  /** Tries step by step whether the account can import; changes nothing. Never throws but for a bug. */
  verify(options: VerifyStoreOptions): Promise<readonly Step[]>;
}

/** Of a sample of the mails that were listed at a checkpoint: how many it has, and those of them no longer listed. */
export interface Vanished {
  readonly sampled: number;
  readonly missing: readonly SourceId[];
}

/** One signed-in session; used by one run at a time. Every method throws StoreError and nothing else. */
export interface StoreSession {
  /**
   * The scope that sources of this folder have now (IMAP: with the current UIDVALIDITY). `checkpoint`: what is known of
   * the folder, by which it is noticed if the server uses its ids again under the same scope. Throws `folderMissing`.
   */
  scope(folder: string, signal: AbortSignal, checkpoint?: Checkpoint): Promise<string>;
  /** Only where items sort by arrival (IMAP): where the folder ends now. */
  end?(folder: string, signal: AbortSignal): Promise<FolderEnd>;
  /**
   * Mail since `checkpoint`, page by page; without one, or when it is of another scope, everything. What the
   * server says about the end of the folder is read before the first page, so that mail arriving meanwhile is left
   * to the next round. An expired token throws StoreError `resync`: forget the checkpoint, keep the ledger, ask again.
   */
  changes(folder: string, checkpoint: Checkpoint | undefined, options: ChangesOptions): AsyncIterable<ChangePage>;
  /** Everything in the folder now, independent of checkpoints (the sweep, and "is it still listed"). */
  list(folder: string, options: ChangesOptions): AsyncIterable<readonly ListedMail[]>;
  /**
   * Those of these mails that the server lists now, asked after their content was not to be had: a mail is gone when it is
   * no longer listed, and not because one request for it failed.
   */
  stillListed(mails: readonly ListedMail[], signal: AbortSignal): Promise<ReadonlySet<ListedMail>>;
  /** Contents, one after the other, in any order. A `stream` must be read to its end or destroyed before the next is asked for. */
  fetch(mails: readonly ListedMail[], options: FetchOptions): AsyncIterable<FetchedMail>;
  /**
   * When mails arrived, by their headers, as far as these say: only where the listing has no `receivedAt` (POP3), and
   * asked for only where something depends on it.
   */
  receivedTimes?(mails: readonly ListedMail[], signal: AbortSignal): Promise<ReadonlyMap<ListedMail, number>>;
  /** The folders of the mailbox, at most some hundreds; `selected`: folders as the account names them. */
  folders(selected: readonly string[], signal: AbortSignal): Promise<readonly StoreFolder[]>;
  /** Only where ids do not last: whether they seem to have changed since the checkpoint. */
  vanished?(folder: string, checkpoint: Checkpoint, signal: AbortSignal): Promise<Vanished>;
  /**
   * Disposes of originals in as few commands as the protocol allows. Outcomes in the order of the targets. What the server
   * refuses of one mail is that one's outcome; thrown is what concerns them all, or the connection: then some may be done.
   */
  dispose(
    targets: readonly DisposalTarget[],
    disposal: Disposal,
    options: DisposeOptions,
  ): Promise<readonly DisposalOutcome[]>;
  /** Leaves without expunging anything (IMAP: LOGOUT, never CLOSE). Never throws. */
  close(): Promise<void>;
}

/**
 * What went wrong, by whose trouble it is: `connection` (not reached, went away, silent), `signIn` (credentials really
 * refused), `permission`, `throttled`, `folderMissing`, `resync` (the checkpoint is no longer good), `protocol` (an
 * answer that makes no sense), `noConnection` (other processes use all connections that the account's limits allow;
 * nothing was tried). None of them is an attempt of a message.
 */
export type StoreErrorKind =
  | 'connection'
  | 'signIn'
  | 'permission'
  | 'throttled'
  | 'folderMissing'
  | 'resync'
  | 'protocol'
  | 'noConnection';

/** The one error of stores and their sessions. The message and the hint are for a person, and repeat no words of the server. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;
  /** The server's or the system's code, such as `ECONNREFUSED` or `AUTHENTICATIONFAILED`. */
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** What a person can do about it. Events repeat it, so it says nothing of what is in the mailbox. */
  readonly hint: string | undefined;
  /** What there is in the mailbox instead, such as its folders: for whoever sees to the account, never for events. */
  readonly found: string | undefined;

  constructor(
    kind: StoreErrorKind,
    message: string,
    details: { code?: string; retryAfterMs?: number; hint?: string; found?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.code = details.code;
    this.retryAfterMs = details.retryAfterMs;
    this.hint = details.hint;
    this.found = details.found;
  }
}
