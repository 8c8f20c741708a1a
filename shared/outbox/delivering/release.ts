import { accountId } from '../../platform/ids.ts';
import { errorText, log } from '../../platform/log.ts';
import { ignoreConflict, type Row, RowConflict, type RowWrite } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { localIdOf, openEnd, openKey, recordKey, releasePartition } from '../keys.ts';
import { type MessageRecord, readableRecord } from '../record.ts';
import { claimMs, waitColumns } from './claim.ts';

/**
 * Why waiting mail is to be tried now. `works`: the account was failing, and a mail has left. `changed`: its transport, a
 * secret or `enabled` was changed. `asked`: by a person.
 */
export type ReleaseReason = 'works' | 'changed' | 'asked';

/** Other processes may use an account and a secret as they were for some seconds (account-store.ts, key-vault.ts). */
const changeMs = 6_000;

/** Between two releases of an account that starts and stops working, mail by mail. */
const worksAgainMs = 10 * 60_000;

/** Messages looked at in one run, and at a time. */
const batch = 500;
const together = 16;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Has all mail of an account tried soon that waits for another attempt. What is scheduled by its sender stays so. Returns
 * once the wish is durable; a queue message carries it out, or the timer.
 */
export async function requestRelease(context: OutboxContext, account: string, reason: ReleaseReason): Promise<void> {
  const now = context.clock.now();
  const row = reason === 'works' ? await context.rows.get(releasePartition, account) : undefined;
  const lastAt = typeof row?.columns.doneAt === 'number' ? row.columns.doneAt : undefined;
  // One that is under way, or waits for its turn, does it.
  if (row && lastAt === undefined) return;
  const startAt = lastAt === undefined ? now : Math.max(now, Math.min(lastAt, now) + worksAgainMs);
  const goAt = reason === 'changed' ? startAt + changeMs : startAt;
  const columns = { requestedAt: now, startAt, goAt, heedsServer: reason === 'works' };
  await context.rows.write(releasePartition, [{ kind: 'put', key: account, columns }]);
  log.info('account.releaseRequested', { account, reason });
  await context.enqueueRelease(account, startAt - now);
}

/** Goes on with the releases that no queue message seems to be left for. */
export async function resumeReleases(context: OutboxContext, options: Options): Promise<void> {
  const now = context.clock.now();
  for await (const { key, columns } of context.rows.prefix(releasePartition, '', options)) {
    if (columns.doneAt === undefined && typeof columns.startAt === 'number' && columns.startAt <= now) {
      await context.enqueueRelease(key, 0);
    }
  }
}

/** Carries out a release: some hundred messages, and the next ones by another queue message. */
export async function releaseWaiting(context: OutboxContext, account: string, options: Options): Promise<void> {
  const row = await context.rows.get(releasePartition, account, options);
  if (!row || row.columns.doneAt !== undefined) return;
  const now = context.clock.now();
  const startAt = numberOf(row, 'startAt');
  if (startAt > now + 1_000) {
    await context.enqueueRelease(account, startAt - now);
    return;
  }
  const keys: string[] = [];
  const from = typeof row.columns.after === 'string' ? `${row.columns.after}!` : openKey('');
  // What waits is looked for again a claim's length after its time.
  const filter = `checkAt gt ${now + claimMs}`;
  for await (const { key } of context.rows.range(account, from, openEnd, { ...options, filter, top: batch }))
    keys.push(key);
  let released = 0;
  for (let at = 0; at < keys.length; at += together) {
    options.signal.throwIfAborted();
    const some = keys.slice(at, at + together).map((key) => releaseOne(context, account, key, row));
    released += (await Promise.all(some)).filter(Boolean).length;
  }
  log.info('account.released', { account, released });
  const last = keys.length === batch ? keys.at(-1) : undefined;
  const columns = last === undefined ? { doneAt: context.clock.now() } : { after: last };
  // A conflict: another release was asked for meanwhile, and begins at the beginning.
  await context.rows
    .write(releasePartition, [{ kind: 'merge', key: account, columns, etag: row.etag }])
    .catch(ignoreConflict);
  if (last !== undefined) await context.enqueueRelease(account, 0);
}

/**
 * Brings a mail forward whose attempt was under way when its account was changed, or a person asked: it was made with what
 * is no more, and the release has passed it by.
 */
export async function releaseIfAskedSince(context: OutboxContext, record: MessageRecord, etag: string): Promise<void> {
  const began = record.attempts.at(-1)?.at;
  if (record.status !== 'queued' || began === undefined) return;
  const release = await context.rows.get(releasePartition, record.account);
  if (!release || release.columns.heedsServer === true) return;
  if (numberOf(release, 'requestedAt') <= Date.parse(began)) return;
  await tryAt(context, record, etag, Math.max(context.clock.now(), numberOf(release, 'goAt')));
}

const numberOf = ({ columns }: Row, name: string): number => {
  const value = columns[name];
  return typeof value === 'number' ? value : 0;
};

async function releaseOne(context: OutboxContext, account: string, key: string, release: Row): Promise<boolean> {
  const localId = localIdOf(key);
  const row = await context.rows.get(account, recordKey(localId));
  if (!row) return false;
  const record = readableRecord(account, row);
  const lastAt = record?.attempts.at(-1)?.at;
  // Tried since, or never: then it waits for something else.
  if (!record || lastAt === undefined || Date.parse(lastAt) >= numberOf(release, 'requestedAt')) return false;
  const heeded = release.columns.heedsServer === true ? (record.retryAfterAt ?? 0) : 0;
  try {
    return await tryAt(context, record, row.etag, Math.max(numberOf(release, 'goAt'), heeded));
  } catch (error) {
    log.warn('outbox.releaseFailed', { account, message: accountId(account, localId), error: errorText(error) });
    return false;
  }
}

/** Brings the next attempt of a waiting mail forward to `at` (ms since the epoch). False: it does not wait so long. */
export async function tryAt(context: OutboxContext, record: MessageRecord, etag: string, at: number): Promise<boolean> {
  const now = context.clock.now();
  if (record.status !== 'queued' || (record.nextAttemptAt ?? 0) <= at) return false;
  const waits = waitColumns(at, now);
  const writes: readonly RowWrite[] = [
    { kind: 'merge', key: recordKey(record.localId), columns: { nextAttemptAt: at, ...waits.record }, etag },
    { kind: 'put', key: openKey(record.localId), columns: waits.open },
  ];
  try {
    // It is to be looked after sooner than it was.
    await context.open.opening(record.account, () => context.rows.write(record.account, writes));
  } catch (error) {
    // Somebody delivers it, or has taken it back.
    if (error instanceof RowConflict) return false;
    throw error;
  }
  await context.enqueue(accountId(record.account, record.localId), Math.max(0, at - now));
  return true;
}
