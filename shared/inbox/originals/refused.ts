import { z } from 'zod';
import type { StoreError } from '../../adapters/store.ts';
import { toIso } from '../../platform/clock.ts';
import type { Row, RowWrite } from '../../platform/rows.ts';
import { instantSchema } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';
import { prefixes, refusedKey, refusedUntil } from '../keys.ts';
import type { ImportContext } from '../session/import-context.ts';
import type { Item } from './items.ts';

const minute = 60_000;

/** Pauses after the first, second, ... refusal of a disposal; then always the last. */
const pauses = [5 * minute, 30 * minute, 120 * minute, 360 * minute, 1440 * minute];

/** A disposal refused so often keeps failing: the account is reported as failing. */
const failingAttempts = 3;

/** Refused disposals tried in one run at most. */
const maxTried = 2_000;

/** The row of a disposal that was refused, in place of the row that stood for it. */
export function refusedRow(
  context: ImportContext,
  item: Item,
  ledger: string,
  { error, answered }: { readonly error: StoreError; readonly answered: boolean },
): RowWrite {
  const now = context.inbox.clock.now();
  const attempts = item.attempts + 1;
  const pause = Math.max(pauses[Math.min(attempts, pauses.length) - 1] ?? 0, error.retryAfterMs ?? 0);
  return {
    kind: 'put',
    key: refusedKey(now + pause, ledger),
    columns: {
      ledger,
      wanted: item.wanted,
      attempts,
      alone: !answered,
      at: now,
      code: error.code ?? error.kind,
      reason: error.message.slice(0, 300),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    },
  };
}

/** Refused disposals that may be tried again now, those that have waited longest first. */
export async function refusedDue({ inbox, account, signal }: ImportContext): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of inbox.rows.range(account, prefixes.refused, refusedUntil(inbox.clock.now()), {
    signal,
    top: maxTried,
  })) {
    rows.push(row);
  }
  return rows;
}

/** Reports that disposals keep failing, or that they do no longer. Called for after refused ones were tried again. */
export async function reportRefusals({
  inbox,
  account,
  signal,
}: Pick<ImportContext, 'inbox' | 'account' | 'signal'>): Promise<void> {
  const filter = `attempts ge ${failingAttempts}.0`;
  for await (const { columns } of inbox.rows.prefix(account, prefixes.refused, { signal, filter, top: 1 })) {
    const hint = typeof columns.hint === 'string' ? { hint: columns.hint } : {};
    await inbox.health.failing(account, 'originals', { code: String(columns.code ?? 'REFUSED'), ...hint });
    return;
  }
  await inbox.health.working(account, 'originals');
}

/** Refused disposals as `status` shows them. */
export const disposalsFailingSchema = z.object({
  count: z.int(),
  last: z
    .object({ at: instantSchema, code: z.string(), reason: z.string(), hint: z.string().optional() })
    .nullable()
    .meta({ description: 'The latest refusal.' }),
});
export type DisposalsFailing = View<typeof disposalsFailingSchema>;

/** Counts the rows of refused disposals. */
export async function disposalsFailing(rows: AsyncIterable<Row>): Promise<DisposalsFailing> {
  let count = 0;
  let last: Row | undefined;
  for await (const row of rows) {
    count += 1;
    if (Number(row.columns.at) >= Number(last?.columns.at ?? 0)) last = row;
  }
  if (!last) {
    return { count, last: null };
  }
  const { at, code, reason, hint } = last.columns;
  return {
    count,
    last: {
      at: toIso(Number(at)),
      code: String(code),
      reason: String(reason),
      ...(typeof hint === 'string' ? { hint } : {}),
    },
  };
}
