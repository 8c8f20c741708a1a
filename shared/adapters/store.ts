import type { Readable } from 'node:stream';
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
  /** Bytes as the server counts them; absent where the server does not tell. */
  readonly size?: number;
  /** Milliseconds since the epoch: IMAP INTERNALDATE, Graph receivedDateTime; absent on POP3. */
  readonly receivedAt?: number;
  readonly draft?: boolean;
  readonly seen?: boolean;
  /** Only with `details`: the Message-ID header with its angle brackets, and the decoded subject. */
  readonly messageId?: string;
  readonly subject?: string;
}

/** Where the next round begins. The adapter's own JSON; opaque to everyone else. */
export type Checkpoint = Readonly<Record<string, string | number>>;

export interface ChangePage {
  /** Mail that is in the folder and was not there, or may not have been, at the checkpoint. Duplicates are allowed. */
  readonly mails: readonly ListedMail[];
  /** True where known mail may be among `mails` (a first or a full round): every id is asked of the ledger anyway. */
  readonly full: boolean;
  /** To be saved once every mail of this page is checked in or pending. */
  readonly checkpoint: Checkpoint;
  /** Mails after this page that this round will still bring, where the server tells. */
  readonly remaining?: number;
}

export interface ChangesOptions {
  readonly signal: AbortSignal;
  /** Mails a page; a page may be shorter, or empty. */
  readonly pageSize: number;
  /** Message-ID and subject are wanted (a reconcile, a dry run). */
  readonly details?: boolean;
}

/** The bytes of a mail. `bytes` where it is small enough to hold (consumers may then go on to the next); else `stream`. */
export type MailContent =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'stream'; readonly stream: Readable }
  /** The server no longer has it: nothing to import. */
  | { readonly kind: 'gone' }
  /** The server could not produce this one mail. Counts as an attempt of the mail. */
  | { readonly kind: 'broken'; readonly reason: string };

export interface FetchedMail {
  readonly mail: ListedMail;
  readonly content: MailContent;
}

export interface FetchOptions {
  readonly signal: AbortSignal;
  /** Only the header section (mail above the account's `maxMessageSize`). */
  readonly headersOnly?: boolean;
}

/** What to do with an original. */
export type Disposal =
  | { readonly action: 'markRead' }
  | { readonly action: 'delete'; readonly mode: 'trash' | 'permanent' }
  | { readonly action: 'move'; readonly folder: string };

/** `markedOnly`: an IMAP server with neither UIDPLUS nor MOVE. `mismatch`: that id names another mail now; left alone. */
export type DisposalOutcome = 'done' | 'gone' | 'markedOnly' | 'mismatch';

/** An original that a disposal names: with what the ledger knows of it, so that another mail is never hit. */
export interface DisposalTarget {
  readonly source: SourceId;
  readonly folder: string;
  /** Compared where the protocol can (and `verify` is asked for). */
  readonly size?: number;
  readonly receivedAt?: number;
}

export interface DisposeOptions {
  readonly signal: AbortSignal;
  /** Compare size and received time first: asked for whenever the mail was not fetched in this same session. */
  readonly verify: boolean;
}

/** What a protocol can do; defaults and warnings of the account model follow from it. */
export interface StoreAbilities {
  readonly markRead: boolean;
  readonly move: boolean;
  /** The same mail has the same bytes whenever it is read (not Graph, which rebuilds MIME). */
  readonly stableBytes: boolean;
  /**
   * Within a scope an id names one mail for good. Not on POP3: there ids may be given anew, or to several mails at once,
   * and no scope tells. The ledger then also knows a mail by its id and content (`{id} {hash}` for `{id}`).
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

export interface OpenOptions {
  /** Ends the opening. */
  readonly signal: AbortSignal;
  /** As long as the session lives, cuts its connections at once, whatever it is doing. */
  readonly cut?: AbortSignal;
  /** Connections that it may have; absent: as many as it has at most. */
  readonly connections?: number;
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
  /** The scope that sources of this folder have now (IMAP: with the current UIDVALIDITY). Throws `folderMissing`. */
  scope(folder: string, signal: AbortSignal): Promise<string>;
  /**
   * Mail since `checkpoint`, page by page; without one, or when it is of another scope, everything (`full`). What the
   * server can tell about the end of the folder is read before the first page, so that mail arriving meanwhile is left
   * to the next round. An expired token throws StoreError `resync`: forget the checkpoint, keep the ledger, ask again.
   */
  changes(folder: string, checkpoint: Checkpoint | undefined, options: ChangesOptions): AsyncIterable<ChangePage>;
  /** Everything in the folder now, independent of checkpoints (the sweep, and "is it still listed"). */
  list(folder: string, options: ChangesOptions): AsyncIterable<readonly ListedMail[]>;
  /** Contents, one after the other, in any order. A `stream` must be read to its end or destroyed before the next is asked for. */
  fetch(mails: readonly ListedMail[], options: FetchOptions): AsyncIterable<FetchedMail>;
  /**
   * When mails arrived, by their headers, as far as these tell: only where the listing tells no `receivedAt` (POP3), and
   * asked for only where something depends on it.
   */
  receivedTimes?(mails: readonly ListedMail[], signal: AbortSignal): Promise<ReadonlyMap<ListedMail, number>>;
  /** Only where ids do not last: whether they seem to have been given anew since the checkpoint. */
  vanished?(folder: string, checkpoint: Checkpoint, signal: AbortSignal): Promise<Vanished>;
  /** Disposes of originals in as few commands as the protocol allows. Outcomes in the order of the targets. */
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
 * answer that makes no sense), `busy` (other processes use all connections that the account's limits allow; nothing was
 * tried). None of them is an attempt of a message.
 */
export type StoreErrorKind =
  | 'connection'
  | 'signIn'
  | 'permission'
  | 'throttled'
  | 'folderMissing'
  | 'resync'
  | 'protocol'
  | 'busy';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;
  /** The server's or the system's code, such as `ECONNREFUSED` or `AUTHENTICATIONFAILED`. */
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** What a person can do about it. */
  readonly hint: string | undefined;

  constructor(
    kind: StoreErrorKind,
    message: string,
    details: { code?: string; retryAfterMs?: number; hint?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.code = details.code;
    this.retryAfterMs = details.retryAfterMs;
    this.hint = details.hint;
  }
}
