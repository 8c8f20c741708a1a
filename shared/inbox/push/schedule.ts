import { dueFilter, dueTime } from '../../platform/due-time.ts';
import { log } from '../../platform/log.ts';
import { ignoreConflict } from '../../platform/rows.ts';
import type { PushContext } from './context.ts';
import { accountOf, partition, prefixes } from './keys.ts';
import { lookMs } from './timing.ts';
import { wantedKeys } from './wanted.ts';

/** Rows claimed in one go; what is left comes with the next minute. */
const maxDue = 5_000;

/** Writes of one turn share a transaction, of 100 rows at most. */
const writesAtOnce = 100;

/** Queue messages put at one time. */
const messagesAtOnce = 50;

/** How often each process looks for accounts whose subscriptions nobody has begun to make. */
const everyAccountMs = 10 * 60_000;

/** The timer's part of push; one per process, since it remembers when it looked at every account. */
export class PushSchedule {
  readonly #push: PushContext;
  #lookedAt: number | undefined;

  constructor(push: PushContext) {
    this.#push = push;
  }

  /**
   * Queues a look for each account of which a subscription is due: one query where none is. Every ten minutes also for
   * those that are to have one and have none, since the process that was to begin it may have ended. Answers how many
   * accounts were queued. Throws storage's trouble.
   */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<number> {
    const names = [...new Set([...(await this.#due(signal)), ...(await this.#forgotten(signal))])];
    for (let from = 0; from < names.length; from += messagesAtOnce) {
      signal.throwIfAborted();
      await Promise.all(names.slice(from, from + messagesAtOnce).map((name) => this.#push.enqueue(name)));
    }
    return names.length;
  }

  /** Claims what is due, so that the next minute does not queue it again; a look that is lost comes again later. */
  async #due(signal: AbortSignal): Promise<readonly string[]> {
    const { rows, clock } = this.#push;
    const now = clock.now();
    const due: { readonly key: string; readonly etag: string }[] = [];
    const options = { filter: dueFilter('dueAt', now), signal, top: maxDue };
    for await (const row of rows.prefix(partition, prefixes.subscription, options)) {
      const { dueAt } = row.columns;
      if (typeof dueAt === 'number' && dueTime(row, dueAt, now) <= now) due.push(row);
    }
    const columns = { dueAt: now + lookMs, waitMs: lookMs };
    const claim = async ({ key, etag }: (typeof due)[number]) => {
      const written = await rows.write(partition, [{ kind: 'merge', key, columns, etag }]).catch(ignoreConflict);
      return written ? [accountOf(key)] : [];
    };
    const claimed: string[] = [];
    for (let from = 0; from < due.length; from += writesAtOnce) {
      claimed.push(...(await Promise.all(due.slice(from, from + writesAtOnce).map(claim))).flat());
    }
    return claimed;
  }

  async #forgotten(signal: AbortSignal): Promise<readonly string[]> {
    const { rows, clock, publicUrl } = this.#push;
    const now = clock.now();
    const isTime = this.#lookedAt === undefined || Math.abs(now - this.#lookedAt) >= everyAccountMs;
    if (publicUrl === undefined || !isTime) return [];
    const wanted = (await this.#push.accounts(signal)).flatMap(({ account }) => wantedKeys(account));
    const there = new Set<string>();
    if (wanted.length > 0) {
      for await (const { key } of rows.prefix(partition, prefixes.subscription, { select: [], signal })) there.add(key);
    }
    this.#lookedAt = now;
    const missing = wanted.filter((key) => !there.has(key)).map(accountOf);
    if (missing.length > 0) log.info('push.begun', { accounts: new Set(missing).size });
    return missing;
  }
}
