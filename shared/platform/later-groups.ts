import { fittingGroups, type Group } from './row-groups.ts';

/** Groups of a partition that wait at most; then they are due. */
const maxWaiting = 40;

interface Waiting {
  readonly groups: Group[];
  readonly timer: NodeJS.Timeout;
}

/** Groups of writes that wait for a transaction of their partition to be written with, each for some time at most. */
export class LaterGroups {
  readonly #waiting = new Map<string, Waiting>();
  readonly #due: (partition: string, groups: readonly Group[]) => void;

  /** `due`: is called for groups whose time is over, or that are many. */
  constructor(due: (partition: string, groups: readonly Group[]) => void) {
    this.#due = due;
  }

  /** `withinMs`: of the first that waits; those that come meanwhile wait no longer than that. */
  add(partition: string, group: Group, withinMs: number): void {
    const waiting = this.#waiting.get(partition);
    if (waiting) {
      waiting.groups.push(group);
      if (waiting.groups.length >= maxWaiting) this.#end(partition);
      return;
    }
    const timer = setTimeout(() => this.#end(partition), withinMs);
    timer.unref();
    this.#waiting.set(partition, { groups: [group], timer });
  }

  /** Takes those that fit into one transaction with `others`. */
  takeFitting(partition: string, others: readonly Group[]): readonly Group[] {
    const waiting = this.#waiting.get(partition);
    if (!waiting) return [];
    const fitting = waiting.groups.splice(0, fittingGroups([...others, ...waiting.groups]) - others.length);
    if (waiting.groups.length === 0) this.#forget(partition, waiting);
    return fitting;
  }

  /** All of them are due now. */
  endAll(): void {
    for (const partition of [...this.#waiting.keys()]) this.#end(partition);
  }

  #end(partition: string): void {
    const waiting = this.#waiting.get(partition);
    if (!waiting) return;
    this.#forget(partition, waiting);
    this.#due(partition, waiting.groups);
  }

  #forget(partition: string, { timer }: Waiting): void {
    clearTimeout(timer);
    this.#waiting.delete(partition);
  }
}
