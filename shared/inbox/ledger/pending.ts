import { z } from 'zod';
import type { ListedMail } from '../../adapters/store.ts';
import { accountId } from '../../platform/ids.ts';
import { jsonColumns, jsonOf, type Row, type RowWrite } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { ledgerKey, pendingKey, prefixes } from '../keys.ts';

/** A mail that fails this often is quarantined. */
export const maxAttempts = 5;

const minute = 60_000;

/** Pending mails of an account read at most; a run stops making more long before. */
const maxPending = 5_000;

/** A listed mail as rows keep it: without its subject, which no table may hold. */
export const listedSchema = z.object({
  source: z.object({ store: z.string(), scope: z.string(), item: z.string() }),
  folder: z.string(),
  size: z.number().optional(),
  receivedAt: z.number().optional(),
  draft: z.boolean().optional(),
  messageId: z.string().optional(),
});

/** A mail that could not be checked in yet. The checkpoint may pass it: this row remembers it. */
export interface PendingMail {
  readonly key: string;
  readonly mail: ListedMail;
  readonly attempts: number;
  /** Times the server went away while this mail, alone, was fetched: not attempts, but reasons to wait. */
  readonly troubles: number;
  readonly nextTryAt: number;
  /** For a person. */
  readonly reason: string;
  readonly cause: PendingCause;
}

/**
 * Why a mail is tried again: `failed`; `reread` (not a failure: it only has to be fetched once more, alone); `doubt` (its
 * bytes, as many as `bytes`, were not what the server had announced); `slow` (alone, it took longer than a run gives to
 * a mail while others wait: it is tried last).
 */
export type PendingCause =
  | { readonly kind: 'failed' }
  | { readonly kind: 'reread' }
  | { readonly kind: 'doubt'; readonly bytes: number }
  | { readonly kind: 'slow' }
  /** It is an asset, of what the server gave in its place: it is asked for again, for a week. */
  | { readonly kind: 'substitute' };

function causeOf({ cause, bytes }: Row['columns']): PendingCause {
  if (cause === 'reread' || cause === 'slow' || cause === 'substitute') {
    return { kind: cause };
  }
  return cause === 'doubt' && typeof bytes === 'number' ? { kind: 'doubt', bytes } : { kind: 'failed' };
}

/** A listed mail as it was kept in a row. */
export function listedMail({
  size,
  receivedAt,
  draft,
  messageId,
  ...place
}: z.output<typeof listedSchema>): ListedMail {
  return {
    ...place,
    ...(size === undefined ? {} : { size }),
    ...(receivedAt === undefined ? {} : { receivedAt }),
    ...(draft === undefined ? {} : { draft }),
    ...(messageId === undefined ? {} : { messageId }),
  };
}

/** A pending mail as its row says. Throws where another version wrote it in another form. */
export function pendingOf(row: Row): PendingMail {
  const { attempts, troubles, nextTryAt, reason } = row.columns;
  return {
    key: row.key,
    mail: listedMail(listedSchema.parse(jsonOf(row))),
    attempts: typeof attempts === 'number' ? attempts : 0,
    troubles: typeof troubles === 'number' ? troubles : 0,
    nextTryAt: typeof nextTryAt === 'number' ? nextTryAt : 0,
    reason: typeof reason === 'string' ? reason : '',
    cause: causeOf(row.columns),
  };
}

/** Waits after the first, second, ... failed attempt: 1, 4, 16, 64 minutes. */
function backOff(attempts: number): number {
  return attempts === 0 ? 0 : minute * 4 ** Math.min(attempts - 1, 3);
}

/** Why and when a mail is tried again. */
export interface PendingState {
  /** Failed attempts; 0: it was only in progress when a process ended, or is to be fetched once more. */
  readonly attempts: number;
  readonly reason: string;
  /** Ms since the epoch. */
  readonly now: number;
  readonly troubles?: number;
  readonly cause?: PendingCause;
}

type PutRow = Extract<RowWrite, { readonly kind: 'insert' | 'put' }>;

/** The pending row of a mail; when it is tried again follows from its attempts and troubles. */
export function pendingRow(mail: ListedMail, state: PendingState): PutRow {
  const { attempts, reason, now, troubles = 0, cause = { kind: 'failed' } } = state;
  const { subject: _, ...listed } = mail;
  const nextTryAt = now + Math.max(backOff(attempts), backOff(troubles));
  const why = cause.kind === 'failed' ? {} : { cause: cause.kind, ...('bytes' in cause ? { bytes: cause.bytes } : {}) };
  const columns = { ...jsonColumns(listed), attempts, troubles, nextTryAt, reason: reason.slice(0, 300), ...why };
  return { kind: 'put', key: pendingKey(ledgerKey(mail.source)), columns };
}

/** The pending mails of an account, at most 5,000. */
export async function readPending(
  inbox: Pick<InboxContext, 'rows'>,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<PendingMail[]> {
  const pending: PendingMail[] = [];
  for await (const row of inbox.rows.prefix(account, prefixes.pending, { signal: options.signal, top: maxPending })) {
    pending.push(pendingOf(row));
  }
  return pending;
}

/** Blob of a quarantined mail's raw MIME in container `quarantine`. */
export function quarantinePath(account: string, localId: string): string {
  return `${account}/${accountId(account, localId)}/message.eml`;
}
