import { z } from 'zod';
import type { Unavailable } from '../../platform/acquired.ts';
import { dueTime } from '../../platform/due-time.ts';
import { isLeased, type LeaseKind, RowLease } from '../../platform/row-lease.ts';
import type { Row } from '../../platform/rows.ts';
import type { DeliveryPlace } from './delivery-rows.ts';

/** Failed attempts that are remembered of a target. */
const maxFailures = 10;

/** Key of the row that says how its target is doing. */
export const stateKey = 's';
const key = stateKey;

const kind: LeaseKind = {
  name: 'deliveries',
  lapseMs: 60_000,
  renewEveryMs: 20_000,
  ownRow: false,
  stopsWhenUnsure: true,
};

const failureSchema = z.object({
  at: z.number(),
  id: z.string(),
  type: z.string(),
  attempt: z.number(),
  status: z.number().optional(),
  code: z.string().optional(),
});

/** An attempt that failed. */
export type Failure = z.output<typeof failureSchema>;

const columnsSchema = z.object({
  /** Version of the account that the rest is about: when the account is saved again, the rest starts again. */
  version: z.string().default(''),
  /** When the receiver said that it wants no more; 0: it did not. */
  stoppedAt: z.number().default(0),
  /** Failed attempts since the last one that did not fail, and when the first of them was. */
  failing: z.number().default(0),
  failingSince: z.number().default(0),
  /** Nothing is sent before this instant. */
  pauseUntil: z.number().default(0),
  /** 0: none yet. */
  lastSuccessAt: z.number().default(0),
  /** The target takes long to answer. */
  slow: z.boolean().default(false),
});

/** How a target is doing. Instants in ms since the epoch. */
export type TargetState = z.output<typeof columnsSchema> & { readonly failures: readonly Failure[] };

/** A target's state, and the row that it was read from. */
export interface StoredState {
  readonly state: TargetState;
  /** Undefined where nothing was ever delivered. */
  readonly row: Row | undefined;
}

/** How a target is doing, as far as it is about this version of its account; of another, what has happened is kept. */
export async function readState(
  { rows, clock }: DeliveryPlace,
  target: string,
  version: string,
  options: { readonly signal: AbortSignal },
): Promise<StoredState> {
  return stateOf(await rows.get(target, key, options), version, clock.now());
}

/** The state of a target that nothing was ever delivered to. */
export function newState(version: string): TargetState {
  return stateOf(undefined, version, 0).state;
}

/** What a row says of its target: see `readState`. `now`: in ms since the epoch. */
export function stateOf(row: Row | undefined, version: string, now: number): StoredState {
  const known = columnsSchema.parse(row?.columns ?? {});
  const failures = failuresOf(row?.columns.failures);
  if (row && known.version === version) {
    // Whoever wrote it may have had a clock that runs ahead.
    return { state: { ...known, pauseUntil: dueTime(row, known.pauseUntil, now), failures }, row };
  }
  const { lastSuccessAt, slow } = known;
  return { state: { ...columnsSchema.parse({}), version, lastSuccessAt, slow, failures }, row };
}

/** Whether nothing is sent to a target now. */
export function isSuspended({ stoppedAt, pauseUntil }: TargetState, now: number): boolean {
  return stoppedAt > 0 || pauseUntil > now;
}

function failuresOf(text: unknown): readonly Failure[] {
  return typeof text === 'string' && text !== '' ? z.array(failureSchema).parse(JSON.parse(text)) : [];
}

/** The last failures of a target, newest first, with another one; the oldest goes where there are too many. */
export function withFailure(failures: readonly Failure[], failure: Failure): readonly Failure[] {
  return [failure, ...failures].slice(0, maxFailures);
}

/** The right to deliver to a target; Unavailable while somebody else has it. */
export async function acquireTarget(
  place: DeliveryPlace,
  target: string,
  { row }: StoredState,
): Promise<RowLease | Unavailable> {
  if (isLeased(row, kind, place.clock.now())) return { retryAfterMs: kind.lapseMs };
  return await RowLease.acquire({ ...place, partition: target, key }, kind, row);
}

/** Writes the state. Throws LeaseLost. */
export async function saveTarget({ clock }: DeliveryPlace, lease: RowLease, state: TargetState): Promise<void> {
  await lease.merge(columnsOf(state, clock.now()));
}

/** Writes the state and gives the lease back. Throws LeaseLost. */
export async function finishTarget({ clock }: DeliveryPlace, lease: RowLease, state: TargetState): Promise<void> {
  const columns = { ...columnsOf(state, clock.now()), leaseOwner: '', leaseUntil: 0 };
  await lease.finish((etag) => [{ kind: 'merge', key, columns, etag }]);
}

function columnsOf(state: TargetState, now: number) {
  return { ...state, failures: JSON.stringify(state.failures), waitMs: Math.max(0, state.pauseUntil - now) };
}
