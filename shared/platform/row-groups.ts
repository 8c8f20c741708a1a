import { randomUUID } from 'node:crypto';
import type { RowWrite } from './row-types.ts';

/** Entity-group transactions hold at most 100 entities and 4 MiB (Microsoft: "Performing entity group transactions"). */
export const maxEntitiesPerTransaction = 100;
const maxBytesPerTransaction = 3_500_000;

/** Writes that are made whole or not at all, and the promise of their caller. */
export interface Group {
  readonly writes: readonly RowWrite[];
  /** Written into every row of the group, so that the group's own writes are recognised. */
  readonly writeId: string;
  readonly bytes: number;
  resolve(etags: readonly string[]): void;
  reject(error: unknown): void;
}

/** A group of writes with an id of its own. `promise` is settled when it was written. */
export function newGroup(writes: readonly RowWrite[], promise: Pick<Group, 'resolve' | 'reject'>): Group {
  return { ...promise, writes, writeId: randomUUID(), bytes: sizeOf(writes) };
}

function sizeOf(writes: readonly RowWrite[]): number {
  let bytes = 0;
  for (const write of writes) {
    bytes += 450;
    if (write.kind !== 'delete') {
      for (const value of Object.values(write.columns)) {
        bytes += typeof value === 'string' ? value.length * 2 : 16;
      }
    }
  }
  return bytes;
}

/** How many of the groups, from the first on, fit into one transaction. It may name each row once. At least one. */
export function fittingGroups(groups: readonly Group[]): number {
  const keys = new Set<string>();
  let bytes = 0;
  let fitting = 0;
  for (const group of groups) {
    const fits =
      keys.size + group.writes.length <= maxEntitiesPerTransaction &&
      bytes + group.bytes <= maxBytesPerTransaction &&
      group.writes.every((write) => !keys.has(write.key));
    if (!fits && fitting > 0) {
      break;
    }
    for (const write of group.writes) {
      keys.add(write.key);
    }
    bytes += group.bytes;
    fitting += 1;
  }
  return fitting;
}
