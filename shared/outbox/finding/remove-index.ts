import { z } from 'zod';
import { newestFirst } from '../../platform/ids.ts';
import { ignoreConflict, jsonOf, prefixEnd, type Row } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import { remainsOf } from '../record.ts';
import { endedKey, findingPrefixes, indexKeys, unwrittenKey } from './index-rows.ts';

/** Rows of one transaction. */
const maxRows = 100;

/** Rows of each kind looked at in one run at most. */
const batch = 2_000;

/** A process that has not written its record for this long will not any more; and where it does, its write fails. In ms. */
const unwrittenMs = 86_400_000;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Removes a record, if it is as it was read, with the rows by which it is found. Those of many recipients go first, so
 * that a run that ends in between leaves a record which the next one removes. One that cannot be read goes, too.
 */
export async function removeRecord({ rows }: OutboxContext, account: string, row: Row): Promise<void> {
  const keys = indexKeys(remainsOf(account, row)).map((key) => ({ key }));
  const together = keys.slice(0, maxRows - 1);
  await rows.deleteEach(account, keys.slice(together.length));
  const record = { kind: 'delete' as const, key: row.key, etag: row.etag };
  try {
    await rows.write(account, [record, ...together.map(({ key }) => ({ kind: 'delete' as const, key }))]);
  } catch (error) {
    ignoreConflict(error);
    // A version before there were such rows has written it, or somebody has changed it since.
    await rows.deleteEach(account, [row]);
    if (!(await rows.get(account, row.key))) await rows.deleteEach(account, together);
  }
}

/**
 * Removes rows that no record stands behind any more: of messages that ended before `before` (ms since the epoch; those
 * in `kept` excepted), and of mails whose acceptance was cut short.
 */
export async function removeLeftIndex(
  context: OutboxContext,
  account: string,
  { before, kept }: { readonly before: number; readonly kept: ReadonlySet<string> },
  { signal }: Options,
): Promise<void> {
  const { rows, clock } = context;
  const ended: Row[] = [];
  const end = prefixEnd(findingPrefixes.ended);
  for await (const row of rows.range(account, endedKey(newestFirst(before)), end, { signal, top: batch, select: [] })) {
    if (!kept.has(row.key.slice(findingPrefixes.ended.length))) ended.push(row);
  }
  await rows.deleteEach(account, ended);
  const from = unwrittenKey(newestFirst(clock.now() - unwrittenMs));
  for await (const row of rows.range(account, from, prefixEnd(findingPrefixes.unwritten), { signal, top: batch })) {
    const given = row.key.endsWith(givenUp) ? row : await giveUp(context, account, row);
    if (given) await removeUnwritten(context, account, given);
  }
}

/** Ends the key of a row whose record cannot be written any more. */
const givenUp = '!';

/** Takes away the row that the record would be written with. Undefined where the record has been written meanwhile. */
async function giveUp(
  { rows }: OutboxContext,
  account: string,
  row: Row,
): Promise<Pick<Row, 'key' | 'columns'> | undefined> {
  const left = { key: row.key + givenUp, columns: row.columns };
  try {
    await rows.write(account, [
      { kind: 'delete', key: row.key, etag: row.etag },
      { kind: 'put', ...left },
    ]);
    return left;
  } catch (error) {
    ignoreConflict(error);
    return undefined;
  }
}

async function removeUnwritten(
  { rows }: OutboxContext,
  account: string,
  { key, columns }: Pick<Row, 'key' | 'columns'>,
): Promise<void> {
  const keys = z.array(z.string()).parse(jsonOf({ columns }) ?? []);
  await rows.deleteEach(
    account,
    keys.map((each) => ({ key: each })),
  );
  await rows.deleteEach(account, [{ key }]);
}
