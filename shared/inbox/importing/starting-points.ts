import { createHash } from 'node:crypto';
import type { ListedMail, SourceId } from '../../adapters/store.ts';
import type { Checkpoints } from '../ledger/checkpoints.ts';
import {
  heldRow,
  readHeld,
  readStartingPoint,
  type StartingPoint,
  startingPointRow,
} from '../ledger/starting-point.ts';
import type { ImportContext } from '../session/import-context.ts';

/** Mails a page of a folder that is noted. */
const pageSize = 500;

/** Hashes in one row: well below what an entity holds. */
const hashesPerRow = 2_500;

/** Mails at the end of a listing whose headers are read for when they came, where the listing does not say. */
const lastRead = 20;

const hashOf = ({ item }: SourceId) => createHash('sha256').update(item).digest('base64url').slice(0, 12);

interface Known {
  readonly point: StartingPoint;
  readonly held: ReadonlySet<string>;
}

/**
 * `since: "now"`: what the mailbox did not hold at that moment, by the server's own order, never by our clock. The moment is
 * that of the first contact with a folder: by the `PUT` itself where the server answers, else by the first run. What the
 * folder holds then is noted before anything of it is imported; a folder that is added later has a moment of its own.
 */
export class StartingPoints {
  readonly #context: ImportContext;
  readonly #checkpoints: Checkpoints;
  readonly #known = new Map<string, Promise<Known | undefined>>();

  constructor(context: ImportContext, checkpoints: Checkpoints) {
    this.#context = context;
    this.#checkpoints = checkpoints;
  }

  get #since(): string | undefined {
    return this.#context.stored.sinceId;
  }

  /** Whether what the folder holds is still to be noted: until then nothing of it may be imported. */
  isMissing(folder: string): boolean {
    return this.#since !== undefined && this.#checkpoints.sinceOf(folder) !== this.#since;
  }

  /** Notes what the folder holds now. Throws StoreError. Where it is cut, the next call goes on from there. */
  async note(folder: string): Promise<void> {
    const since = this.#since;
    if (since === undefined) {
      return;
    }
    const { session, signal, fence } = this.#context;
    const seenUntil = this.#checkpoints.newestElsewhere(since);
    const seen = seenUntil === undefined ? {} : { seenUntil };
    if (session.end) {
      const { scope, item, newestAt } = await session.end(folder, signal);
      const place = { kind: 'order' as const, scope, item };
      const point = { since, place, ...(newestAt === undefined ? {} : { newestAt }), ...seen };
      await this.#begin(folder, point);
      return;
    }
    const before = this.#checkpoints.noted(folder, since);
    let { rows } = before;
    let { newestAt } = before;
    let hashes: string[] = [];
    let tail: ListedMail[] = [];
    for await (const { mails, checkpoint } of session.changes(folder, before.checkpoint, { signal, pageSize })) {
      for (const { source, receivedAt } of mails) {
        hashes.push(hashOf(source));
        newestAt = receivedAt === undefined ? newestAt : Math.max(newestAt ?? receivedAt, receivedAt);
      }
      tail = [...tail, ...mails].slice(-lastRead);
      if (hashes.length >= hashesPerRow) {
        const row = heldRow(this.#context, folder, { since, n: rows, hashes });
        rows += 1;
        hashes = [];
        const noting = this.#checkpoints.notingRow(folder, { since, rows, newestAt, checkpoint });
        await fence.write([row, noting]);
        this.#checkpoints.written(noting);
      }
    }
    newestAt ??= await this.#newestOf(tail);
    await fence.write([heldRow(this.#context, folder, { since, n: rows, hashes })]);
    const place = { kind: 'set' as const, rows: rows + 1 };
    await this.#begin(folder, { since, place, ...(newestAt === undefined ? {} : { newestAt }), ...seen });
  }

  /** From here on the folder is imported. Its first round lists all of it, and counts what it leaves out. */
  async #begin(folder: string, point: StartingPoint): Promise<void> {
    const first = this.#checkpoints.firstRow(folder, point.since);
    await this.#context.fence.write([startingPointRow(this.#context, folder, point), first]);
    this.#checkpoints.written(first);
    this.#known.delete(folder);
  }

  async #newestOf(mails: readonly ListedMail[]): Promise<number | undefined> {
    const { session, signal } = this.#context;
    const times = [...((await session.receivedTimes?.(mails, signal)) ?? new Map<ListedMail, number>()).values()];
    return times.length === 0 ? undefined : Math.max(...times);
  }

  /**
   * Those of the mails that their folders held already. `idsChanged`: the server has given new ids; then the time decides
   * by which the server says that a mail came.
   */
  async held(mails: readonly ListedMail[], idsChanged: boolean): Promise<ReadonlySet<ListedMail>> {
    const held = new Set<ListedMail>();
    if (this.#since === undefined) {
      return held;
    }
    const byTime = new Map<ListedMail, number>();
    for (const mail of mails) {
      const known = await this.#of(mail.folder);
      if (known === undefined) {
        continue;
      }
      const { point } = known;
      const answer = isHeld(known, mail, idsChanged);
      if (answer === 'byTime' && point.newestAt !== undefined) {
        byTime.set(mail, point.newestAt);
      } else if (answer === 'held' && point.seenUntil === undefined) {
        held.add(mail);
      } else if (answer === 'held') {
        byTime.set(mail, point.seenUntil ?? 0);
      }
    }
    const withoutTime = [...byTime.keys()].filter((mail) => mail.receivedAt === undefined);
    const { session, signal } = this.#context;
    const times = withoutTime.length === 0 ? undefined : await session.receivedTimes?.(withoutTime, signal);
    for (const [mail, until] of byTime) {
      const receivedAt = mail.receivedAt ?? times?.get(mail);
      if (receivedAt !== undefined && receivedAt <= until) {
        held.add(mail);
      }
    }
    return held;
  }

  async #of(folder: string): Promise<Known | undefined> {
    let known = this.#known.get(folder);
    if (!known) {
      known = this.#read(folder);
      this.#known.set(folder, known);
    }
    return await known;
  }

  async #read(folder: string): Promise<Known | undefined> {
    const point = await readStartingPoint(this.#context, folder);
    if (point === undefined || point.since !== this.#since) {
      return undefined;
    }
    const held = point.place.kind === 'set' ? await readHeld(this.#context, folder, point.since) : new Set<string>();
    return { point, held };
  }
}

function isHeld({ point, held }: Known, { source }: ListedMail, idsChanged: boolean): 'held' | 'new' | 'byTime' {
  const { place } = point;
  if (place.kind === 'order') {
    // Under another UIDVALIDITY the order says nothing.
    return source.scope !== place.scope ? 'byTime' : source.item <= place.item ? 'held' : 'new';
  }
  return held.has(hashOf(source)) ? 'held' : idsChanged ? 'byTime' : 'new';
}
