import { z } from 'zod';
import type { GraphMailbox } from '../../adapters/graph/subscriptions.ts';
import { ignoreConflict, jsonColumns, jsonOf, type Row, RowConflict } from '../../platform/rows.ts';
import type { PushContext } from './context.ts';
import { accountPrefix, partition } from './keys.ts';

/** Who signs in to what; written by this module alone, and checked again before it is used. */
const mailboxSchema = z.object({
  protocol: z.literal('graph'),
  userId: z.string(),
  cloud: z.enum(['global', 'usgov', 'dod', 'china']),
  credential: z.discriminatedUnion('type', [
    z.object({ type: z.literal('clientSecret'), tenantId: z.string(), clientId: z.string(), secret: z.string() }),
    z.object({ type: z.literal('certificate'), tenantId: z.string(), clientId: z.string(), secret: z.string() }),
    z.object({ type: z.literal('managedIdentity'), clientId: z.string().optional() }),
  ]),
});

const columnsSchema = z.object({
  /** `creating`: wanted, and not known to be there. */
  state: z.enum(['creating', 'active']),
  /** As the account names it. */
  folder: z.string(),
  generation: z.string(),
  /** App, mailbox, address and key: for others another subscription is made. */
  fingerprint: z.string(),
  /** Graph's id, of one that is there. */
  id: z.string().optional(),
  expiresAt: z.number().optional(),
  /** A second one that Graph has told of, to be ended. */
  stray: z.string().optional(),
  /** When there is something to do, in ms since the epoch. */
  workAt: z.number(),
  /** When the timer looks at it: later than `workAt` while somebody is to have a look. `waitMs`: how far ahead that was. */
  dueAt: z.number(),
  waitMs: z.number(),
  /** When a subscription was asked for last whose end is not known. */
  attemptAt: z.number().optional(),
  /** Failures in a row, and what the last was. */
  tries: z.number(),
  /** Failures to end it, of one that is not to be there any more. */
  endTries: z.number().optional(),
  code: z.string().optional(),
  hint: z.string().optional(),
});

/** What is known of a subscription. */
export type SubscriptionColumns = z.output<typeof columnsSchema>;

/** The subscription to one folder, as it was read. */
export interface SubscriptionRow extends SubscriptionColumns {
  readonly key: string;
  readonly etag: string;
  readonly mailbox: GraphMailbox;
}

/** A row as a subscription. Throws where it is none. */
export function subscriptionOf(row: Row): SubscriptionRow {
  const { key, etag, columns } = row;
  return { ...columnsSchema.parse(columns), key, etag, mailbox: mailboxSchema.parse(jsonOf(row)) };
}

/** The subscriptions of an account, and those that it is to have no more. */
export async function readSubscriptions(
  { rows }: Pick<PushContext, 'rows'>,
  account: string,
  options: { readonly signal: AbortSignal },
): Promise<readonly SubscriptionRow[]> {
  const found: SubscriptionRow[] = [];
  for await (const row of rows.prefix(partition, accountPrefix(account), options)) found.push(subscriptionOf(row));
  return found;
}

/** One subscription; undefined where there is none. */
export async function readSubscription(
  { rows }: Pick<PushContext, 'rows'>,
  key: string,
): Promise<SubscriptionRow | undefined> {
  const row = await rows.get(partition, key);
  return row && subscriptionOf(row);
}

/** When there is something to do: at `at`, and then the timer looks. */
export function dueAt(at: number, now: number): Pick<SubscriptionColumns, 'workAt' | 'dueAt' | 'waitMs'> {
  return { workAt: at, dueAt: at, waitMs: Math.max(0, at - now) };
}

/** Writes a row anew, if it is still as it was read; undefined: somebody else has changed it. */
export async function replaceRow(
  { rows }: Pick<PushContext, 'rows'>,
  row: SubscriptionRow,
  changes: Partial<SubscriptionColumns> & { readonly mailbox?: GraphMailbox },
): Promise<SubscriptionRow | undefined> {
  const { key, etag, ...before } = row;
  const after = { ...before, ...changes };
  const { mailbox, ...columns } = after;
  const write = { kind: 'replace', key, columns: { ...columns, ...jsonColumns(mailbox) }, etag } as const;
  const written = await unlessChanged(rows.write(partition, [write]));
  return written && { ...after, key, etag: written[0] ?? '' };
}

/** Adds a row; undefined: there is one. */
export async function insertRow(
  { rows }: Pick<PushContext, 'rows'>,
  row: Omit<SubscriptionRow, 'etag'>,
): Promise<SubscriptionRow | undefined> {
  const { key, mailbox, ...columns } = row;
  const write = { kind: 'insert', key, columns: { ...columns, ...jsonColumns(mailbox) } } as const;
  const written = await unlessChanged(rows.write(partition, [write]));
  return written && { ...row, etag: written[0] ?? '' };
}

/** Takes a row away, if it is still as it was read. */
export async function deleteRow({ rows }: Pick<PushContext, 'rows'>, row: SubscriptionRow): Promise<void> {
  await rows.write(partition, [{ kind: 'delete', key: row.key, etag: row.etag }]).catch(ignoreConflict);
}

async function unlessChanged<T>(write: Promise<T>): Promise<T | undefined> {
  try {
    return await write;
  } catch (error) {
    if (error instanceof RowConflict) return undefined;
    throw error;
  }
}
