import { z } from 'zod';
import type { ListedMail } from '../../adapters/store.ts';
import { leftoverRow } from '../../assets/leftover-row.ts';
import { instantOf } from '../../platform/ids.ts';
import { jsonColumns, jsonOf, type Row, RowConflict, type RowWrite } from '../../platform/rows.ts';
import { assetLocalId, ledgerKey, pendingKey, tail } from '../keys.ts';
import { Superseded } from '../session/fence.ts';
import type { ImportContext, ImportPlace } from '../session/import-context.ts';
import { listedMail, listedSchema, pendingRow, readPending } from './pending.ts';

/** A process that was stopped goes on within this time, or never. */
export const zombieMs = 24 * 3_600_000;

/** Notes a page before it is imported: what it may write, and so that a mail which kills the process is counted. */
export async function beginPage(
  context: Pick<ImportContext, 'fence'>,
  inProgress: string,
  mails: readonly ListedMail[],
): Promise<void> {
  const listed = mails.map(({ subject: _, ...mail }) => mail);
  await context.fence.write([{ kind: 'put', key: inProgress, columns: jsonColumns(listed) }]);
}

/** A condition for a transaction: this page is still in progress, by nobody else. */
export function stillInProgress(inProgress: string): RowWrite {
  return { kind: 'merge', key: inProgress, columns: {} };
}

/** Throws Superseded where another run has ended this page. */
export async function checkInProgress({ inbox, account, signal }: ImportPlace, inProgress: string): Promise<void> {
  if (!(await inbox.rows.get(account, inProgress, { signal }))) {
    throw new Superseded();
  }
}

/** The mails that a page in progress names. */
export function mailsInProgress(row: Row): ListedMail[] {
  return z
    .array(listedSchema)
    .parse(jsonOf(row) ?? [])
    .map(listedMail);
}

/** When a page was begun, in ms: the run's id holds it. */
export function begunAt(key: string): number {
  return instantOf(tail(key));
}

/**
 * Ends a page that was in progress without a commit. Whoever worked on it cannot commit it any more; should it be stopped
 * only, and go on, it may still write blobs: row `y:` stands for them until a retention has removed them.
 */
export function interruptRows(
  { inbox, account }: Pick<ImportContext, 'inbox' | 'account'>,
  inProgress: string,
  mails: readonly ListedMail[],
): RowWrite[] {
  const assets = mails.map(({ source }) => ({ asset: assetLocalId(account, source), ledger: ledgerKey(source) }));
  return [{ kind: 'delete', key: inProgress }, leftoverRow(tail(inProgress), assets, inbox.clock.now() + zombieMs)];
}

/**
 * Ends the pages that were in progress when other processes ended or were stopped. A page of one mail, where it was the only
 * one, counts as an attempt of that mail. Of several mails nobody can say which it was: each is tried again alone, and only
 * that counts.
 */
export async function recoverInterrupted(context: ImportContext, rows: readonly Row[]): Promise<void> {
  const { inbox, account, signal } = context;
  if (rows.length === 0) {
    return;
  }
  const before = new Map((await readPending(inbox, account, { signal })).map((pending) => [pending.key, pending]));
  const now = inbox.clock.now();
  for (const row of rows) {
    const mails = mailsInProgress(row);
    const alone = mails.length === 1 && rows.length === 1;
    const reason = 'The process ended while the mail was imported';
    const writes = mails.map((mail) => {
      const { attempts = 0, cause } = before.get(pendingKey(ledgerKey(mail.source))) ?? {};
      const again = cause?.kind === 'substitute' ? { cause } : {};
      return pendingRow(mail, { attempts: alone ? attempts + 1 : attempts, reason, now, ...again });
    });
    try {
      await context.fence.write([...writes, ...interruptRows(context, row.key, mails)]);
    } catch (error) {
      // Committed a moment ago by the process that was thought to be gone: nothing of it is left to do.
      if (!(error instanceof RowConflict)) {
        throw error;
      }
    }
  }
}
