import { randomUUID } from 'node:crypto';
import { Refusal } from '../platform/refusal.ts';
import { jsonOf } from '../platform/row-json.ts';
import type { Row } from '../platform/row-types.ts';
import { peek } from '../platform/validation.ts';
import type { SummedAccount } from './account-summaries.ts';
import { type Destination, parseDestinations } from './destinations.ts';
import { type Account, resolveAccount } from './rules.ts';

/** An account as it is stored. */
export interface StoredAccount {
  readonly account: Account;
  /** Mail received before this instant (ms) is not imported; `since: "now"` is fixed when it is first saved. */
  readonly sinceAt: number | undefined;
  /** Names a `since: "now"`, from when it was first saved: its moment is the server's, and is noted by the import. */
  readonly sinceId: string | undefined;
  /** When it was added, in ms; 0 where that was not noted. */
  readonly createdAt: number;
  /** When the schedule last queued its import, in ms; undefined: never. */
  readonly queuedAt: number | undefined;
  /** Whether everything that it ever did was noted: see `isNotedFromStart`. */
  readonly fromStart: boolean;
  /** Strong entity tag, with its quotes (RFC 9110 section 8.8.3). */
  readonly etag: string;
}

/** When the account was added, in ms; 0 if that was not noted. */
export function createdAtOf(row: Row): number {
  const { createdAt } = row.columns;
  return typeof createdAt === 'number' ? createdAt : 0;
}

/** When the schedule last queued an import of the account, in ms; undefined: never. */
export function queuedAtOf(row: Row): number | undefined {
  const { queuedAt } = row.columns;
  return typeof queuedAt === 'number' ? queuedAt : undefined;
}

/**
 * Whether everything that the account ever did was noted beside it (see account-summaries.ts and outbox/open-accounts.ts): it was added by a
 * version that does so, and had no row before. Where no note says that there is something, there is nothing.
 */
export function isNotedFromStart(row: Row): boolean {
  return row.columns.fromStart === true;
}

/** Deleted accounts leave their row behind. */
export function isDeleted(row: Row): boolean {
  return row.columns.deleted === true;
}

/** The columns that `summedOf` needs. */
export const summedColumns = ['fromStart', 'createdAt'] as const;

/** An account, also a deleted one, as lists over all of them know it. */
export function summedOf(row: Row): SummedAccount {
  return { name: row.key, fromStart: isNotedFromStart(row), createdAt: createdAtOf(row) };
}

/** What of an account's row stays when it is saved. `now`: in ms since the epoch. Being saved, or added again, makes no import due. */
export function keptColumns(row: Row | undefined, now: number) {
  const createdAt = row && !isDeleted(row) ? createdAtOf(row) : now;
  return { createdAt, queuedAt: row && queuedAtOf(row), fromStart: row ? isNotedFromStart(row) : true };
}

/** Throws where this version cannot read what another version saved. */
export function storedOf(row: Row, now: number): StoredAccount {
  const { sinceAt, sinceId, debugUntil } = row.columns;
  const account = resolvedOf(row);
  const debug = account.debug && typeof debugUntil === 'number' && now < debugUntil;
  return {
    account: { ...account, debug },
    sinceAt: typeof sinceAt === 'number' ? sinceAt : undefined,
    sinceId: typeof sinceId === 'string' ? sinceId : undefined,
    createdAt: createdAtOf(row),
    queuedAt: queuedAtOf(row),
    fromStart: isNotedFromStart(row),
    etag: etagOf(row),
  };
}

/** The account's entity tag, with its quotes. */
export function etagOf(row: Row): string {
  return `"${String(row.columns.version)}"`;
}

/** What an account's row says of where its secrets may be sent; also of a deleted account, which may come back. */
export interface KnownDestinations {
  readonly endpoints: Pick<Account, 'transport' | 'store'>;
  readonly known: readonly Destination[];
}

/** Throws where this version cannot read it: nothing is sent on a guess. */
export function knownDestinationsOf(row: Row): KnownDestinations {
  const { transport, store } = resolvedOf(row);
  return {
    endpoints: { ...(transport ? { transport } : {}), ...(store ? { store } : {}) },
    known: parseDestinations(row.columns.destinations),
  };
}

/** As `knownDestinationsOf`; of a row that cannot be read, what it keeps. */
export function lastKnownDestinationsOf(row: Row): KnownDestinations {
  try {
    return knownDestinationsOf(row);
  } catch {
    return { endpoints: {}, known: parseDestinations(row.columns.destinations) };
  }
}

/** The columns of an account's `since`. A `now` that was saved before keeps its id, or its instant. */
export function sinceColumns(
  { import: { since } }: Account,
  before: Row | undefined,
): Pick<StoredAccount, 'sinceAt' | 'sinceId'> {
  if (since === 'all') {
    return { sinceAt: undefined, sinceId: undefined };
  }
  if (since !== 'now') {
    return { sinceAt: Date.parse(since), sinceId: undefined };
  }
  const kept = before && peek(jsonOf(before), ['import', 'since']) === 'now' ? before.columns : {};
  const { sinceAt, sinceId } = kept;
  if (typeof sinceAt === 'number') {
    return { sinceAt, sinceId: undefined };
  }
  return { sinceAt: undefined, sinceId: typeof sinceId === 'string' ? sinceId : randomUUID() };
}

/** What was saved by an earlier version is brought to today's form by the same rules. */
function resolvedOf(row: Row): Account {
  try {
    return resolveAccount(row.key, jsonOf(row)).account;
  } catch (error) {
    // The caller who reads it has made no mistake.
    const fields = error instanceof Refusal ? error.mistakes?.map(({ pointer }) => pointer).join(' ') : undefined;
    throw new Error(`Account ${row.key} cannot be read as it is stored${fields ? `: ${fields}` : ''}`, {
      cause: error,
    });
  }
}
