import type { RowWrite } from '../../platform/rows.ts';
import { jsonColumns } from '../../platform/rows.ts';
import type { OutboxContext } from '../context.ts';
import type { MessageRecord } from '../record.ts';
import { indexKeys, indexRow, unwrittenKey } from './index-rows.ts';

/** Index rows written in one transaction with the record: it takes 100 rows, and others go with them. */
const withRecord = 80;

/**
 * The rows by which a message will be found, to be written with its record. A mail with so many recipients that they do
 * not fit one transaction has the others written first, under a row that names them: it goes with the record's own
 * transaction, and retention removes what was left of a record that was never written.
 */
export async function indexWrites({ rows }: OutboxContext, record: MessageRecord): Promise<readonly RowWrite[]> {
  const keys = indexKeys(record);
  const first = keys.slice(withRecord);
  if (first.length === 0) return keys.map(indexRow);
  const unwritten = unwrittenKey(record.localId);
  await rows.write(record.account, [{ kind: 'put', key: unwritten, columns: jsonColumns(first) }]);
  await rows.writeAll(record.account, first.map(indexRow));
  return [...keys.slice(0, withRecord).map(indexRow), { kind: 'delete', key: unwritten }];
}
