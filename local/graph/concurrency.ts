import { GraphRefusal } from './graph-error.ts';

/** Requests at once on one mailbox by one app (Microsoft Graph throttling limits, Outlook service). */
const limit = 4;

/** Counts the requests under way. */
export class Concurrency {
  readonly #busy = new Map<string, number>();
  /** The most there have been at once on one mailbox, refused ones not counted. */
  peak = 0;

  /** Takes a place until the returned function is called. Throws 429 when there is none. */
  enter(appId: string, mailbox: string): () => void {
    const key = `${appId}|${mailbox}`;
    const busy = this.#busy.get(key) ?? 0;
    if (busy >= limit) {
      throw new GraphRefusal(429, 'ApplicationThrottled', 'Application is over its MailboxConcurrency limit.', {
        'retry-after': '1',
      });
    }
    this.#busy.set(key, busy + 1);
    this.peak = Math.max(this.peak, busy + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const now = (this.#busy.get(key) ?? 1) - 1;
      if (now > 0) this.#busy.set(key, now);
      else this.#busy.delete(key);
    };
  }
}
