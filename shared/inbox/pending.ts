import { z } from 'zod';
import type { ListedMail } from '../adapters/store.ts';
import { assetPaths } from '../assets/asset.ts';
import { accountId } from '../platform/ids.ts';
import { jsonColumns, jsonOf, type Row, type RowWrite } from '../platform/rows.ts';
import type { InboxContext } from './context.ts';
import { assetRest, ledgerKey, pendingKey, quarantineKey } from './keys.ts';
import { type LedgerRow, ledgerColumns } from './ledger.ts';
import type { Work } from './work.ts';

/** A mail that fails this often is quarantined. */
export const maxAttempts = 5;

const minute = 60_000;

/** Pending mails of an account read at most; a run stops making more long before. */
const maxPending = 5_000;

const listedSchema = z.object({
  source: z.object({ store: z.string(), scope: z.string(), item: z.string() }),
  folder: z.string(),
  size: z.number().optional(),
  receivedAt: z.number().optional(),
  draft: z.boolean().optional(),
  seen: z.boolean().optional(),
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
  readonly reason: string;
}

function listedMail({ size, receivedAt, draft, seen, messageId, ...place }: z.output<typeof listedSchema>): ListedMail {
  return {
    ...place,
    ...(size === undefined ? {} : { size }),
    ...(receivedAt === undefined ? {} : { receivedAt }),
    ...(draft === undefined ? {} : { draft }),
    ...(seen === undefined ? {} : { seen }),
    ...(messageId === undefined ? {} : { messageId }),
  };
}

function pendingOf(row: Row): PendingMail {
  const { attempts, troubles, nextTryAt, reason } = row.columns;
  return {
    key: row.key,
    mail: listedMail(listedSchema.parse(jsonOf(row))),
    attempts: typeof attempts === 'number' ? attempts : 0,
    troubles: typeof troubles === 'number' ? troubles : 0,
    nextTryAt: typeof nextTryAt === 'number' ? nextTryAt : 0,
    reason: typeof reason === 'string' ? reason : '',
  };
}

/** Waits after the first, second, ... failed attempt: 1, 4, 16, 64 minutes. */
function backOff(attempts: number): number {
  return attempts === 0 ? 0 : minute * 4 ** Math.min(attempts - 1, 3);
}

/** The pending row of a mail after its `attempts`-th failed attempt (0: it was only in work when a process ended). */
export function pendingRow(mail: ListedMail, attempts: number, reason: string, now: number, troubles = 0): RowWrite {
  const { subject: _, ...listed } = mail;
  const nextTryAt = now + Math.max(backOff(attempts), backOff(troubles));
  const columns = { ...jsonColumns(listed), attempts, troubles, nextTryAt, reason: reason.slice(0, 300) };
  return { kind: 'put', key: pendingKey(ledgerKey(mail.source)), columns };
}

export async function readPending(
  context: InboxContext,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<PendingMail[]> {
  const pending: PendingMail[] = [];
  for await (const row of context.rows.prefix(account, 'p:', { signal: options.signal, top: maxPending })) {
    pending.push(pendingOf(row));
  }
  return pending;
}

/** Notes a page before its work starts, so that a mail that kills the process is counted. */
export function inWorkRow(key: string, mails: readonly ListedMail[]): RowWrite {
  return { kind: 'put', key, columns: jsonColumns(mails.map(({ subject: _, ...listed }) => listed)) };
}

/**
 * Pages that were in work when a process ended. A page of one mail counts as an attempt of that mail. Of a larger page
 * nobody can say which mail it was: each is tried again alone, and only that counts.
 */
export async function takeOverInWork(work: Work): Promise<void> {
  const { context, name, signal } = work;
  const rows: Row[] = [];
  for await (const row of context.rows.prefix(name, 'w:', { signal, top: 100 })) {
    rows.push(row);
  }
  if (rows.length === 0) {
    return;
  }
  const before = new Map((await readPending(context, name, { signal })).map((pending) => [pending.key, pending]));
  for (const row of rows) {
    const mails = z.array(listedSchema).parse(jsonOf(row) ?? []);
    const alone = mails.length === 1;
    const writes = mails.map((mail) => {
      const listed = listedMail(mail);
      const attempts = before.get(pendingKey(ledgerKey(listed.source)))?.attempts ?? 0;
      const reason = 'The process ended while the mail was in work';
      return pendingRow(listed, alone ? attempts + 1 : attempts, reason, context.clock.now());
    });
    await context.rows.write(name, [...writes, { kind: 'delete', key: row.key }]);
  }
}

/** Rows by which a mail is given up after its last attempt; its original is never deleted. */
export function quarantineRows(
  work: Work,
  mail: ListedMail,
  reason: string,
  raw: { size: number; sha256: string } | undefined,
): RowWrite[] {
  const { context, name } = work;
  const now = context.clock.now();
  const key = ledgerKey(mail.source);
  const rest = assetRest(name, mail.source);
  const entry: LedgerRow = {
    key,
    ...mail.source,
    folder: mail.folder,
    asset: rest,
    state: 'quarantined',
    importedAt: now,
    receivedAt: mail.receivedAt,
    listedSize: mail.size,
    size: raw?.size ?? 0,
    sha256: raw?.sha256 ?? '',
    keepOriginal: true,
  };
  return [
    { kind: 'put', key, columns: ledgerColumns(entry) },
    {
      kind: 'put',
      key: quarantineKey(now, rest),
      columns: { ledger: key, reason: reason.slice(0, 300), folder: mail.folder, at: now, hasMime: raw !== undefined },
    },
    { kind: 'delete', key: pendingKey(key) },
  ];
}

/** Blob of a quarantined mail's raw MIME in container `quarantine`. */
export function quarantinePath(account: string, rest: string): string {
  return `${account}/${accountId(account, rest)}/message.eml`;
}

/** Removes blobs of a check-in that never came to its commit. */
export async function removeAssetBlobs(
  context: InboxContext,
  account: string,
  rest: string,
  signal: AbortSignal,
): Promise<void> {
  const container = await context.assets();
  const { folder } = assetPaths(account, accountId(account, rest));
  for await (const blob of container.listBlobsFlat({ prefix: folder, abortSignal: signal })) {
    await container.deleteBlob(blob.name, { abortSignal: signal });
  }
}

/** Row keys of a run's pages. */
export function pageKeys(runId: string, page: number) {
  const suffix = `${runId}:${page}`;
  return { inWork: `w:${suffix}`, unfinished: `u:${suffix}` };
}
