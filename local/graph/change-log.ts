/** What happened to a message in a folder since a point in time, as one entry of a delta. */
export interface Change {
  readonly kind: 'created' | 'updated' | 'removed';
  readonly immutableId: string;
  readonly mutableId: string;
  /** Of an update: the properties that changed. */
  readonly properties: readonly string[];
}

export interface SinceOptions {
  readonly immutableIds: boolean;
  /** A message that left and came back is reported as gone only (microsoft-graph-docs issue 21752). */
  readonly loseReturns: boolean;
}

/** One stay of a message in the folder: the default id is new at every move, so it names the stay. */
interface Stay {
  readonly immutableId: string;
  readonly mutableId: string;
  readonly createdAt: number;
  removedAt: number | undefined;
  readonly changedAt: Map<string, number>;
}

/** Stays that have ended are forgotten from here on, the oldest first; so are the tokens that knew them. */
const maxEnded = 20_000;

/** The changes of one folder, in the order of the mailbox's own sequence. */
export class ChangeLog {
  readonly #stays = new Map<string, Stay>();
  #ended = 0;
  /** Changes up to here can no longer be reported. */
  #floor = 0;

  get floor(): number {
    return this.#floor;
  }

  created(ids: { readonly immutableId: string; readonly mutableId: string }, sequence: number): void {
    const { immutableId, mutableId } = ids;
    const stay = { immutableId, mutableId, createdAt: sequence, removedAt: undefined, changedAt: new Map() };
    this.#stays.set(mutableId, stay);
  }

  removed(mutableId: string, sequence: number): void {
    const stay = this.#stays.get(mutableId);
    if (!stay || stay.removedAt !== undefined) return;
    stay.removedAt = sequence;
    if (++this.#ended > maxEnded) this.#forgetOldest();
  }

  updated(mutableId: string, properties: readonly string[], sequence: number): void {
    const stay = this.#stays.get(mutableId);
    for (const property of properties) stay?.changedAt.set(property, sequence);
  }

  /** What changed after `sequence`, oldest first, one entry an id. */
  since(sequence: number, options: SinceOptions): readonly Change[] {
    const groups = new Map<string, Stay[]>();
    for (const stay of this.#stays.values()) {
      const key = options.immutableIds ? stay.immutableId : stay.mutableId;
      const group = groups.get(key);
      if (group) group.push(stay);
      else groups.set(key, [stay]);
    }
    const changes: { change: Change; at: number }[] = [];
    for (const stays of groups.values()) {
      const found = changeOf(stays, sequence, options.loseReturns);
      if (found) changes.push(found);
    }
    return changes.sort((one, other) => one.at - other.at).map(({ change }) => change);
  }

  /** Ids of messages that left before `sequence`, the latest first: what a replay may report once more. */
  goneBefore(sequence: number, limit: number): readonly Change[] {
    return [...this.#stays.values()]
      .filter((stay) => stay.removedAt !== undefined && stay.removedAt <= sequence)
      .slice(-limit)
      .map((stay) => change('removed', stay));
  }

  #forgetOldest(): void {
    for (const stay of this.#stays.values()) {
      if (stay.removedAt === undefined) continue;
      this.#stays.delete(stay.mutableId);
      this.#floor = Math.max(this.#floor, stay.removedAt);
      this.#ended--;
      return;
    }
  }
}

function changeOf(
  stays: readonly Stay[],
  since: number,
  loseReturns: boolean,
): { change: Change; at: number } | undefined {
  const last = stays.at(-1);
  if (!last) return undefined;
  if (last.removedAt !== undefined) {
    return last.removedAt > since ? { change: change('removed', last), at: last.removedAt } : undefined;
  }
  const left = stays.find((stay) => stay.createdAt <= since && (stay.removedAt ?? 0) > since);
  const properties = [...last.changedAt].filter(([, at]) => at > since);
  const changedAt = Math.max(...properties.map(([, at]) => at));
  if (last.createdAt > since) {
    if (!left || !loseReturns) return { change: change('created', last), at: last.createdAt };
    if (properties.length === 0) return { change: change('removed', last), at: last.createdAt };
  }
  const names = properties.map(([name]) => name);
  return names.length === 0 ? undefined : { change: change('updated', last, names), at: changedAt };
}

function change(kind: Change['kind'], stay: Stay, properties: readonly string[] = []): Change {
  return { kind, immutableId: stay.immutableId, mutableId: stay.mutableId, properties };
}
