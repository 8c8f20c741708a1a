import type { PooledSession } from '../../connections/session-pool.ts';

/**
 * One of the slots for mails on their way to Graph. Requests share their sockets, so there is none to open or close: what a
 * mailbox counts is requests at a time, and a mail has one.
 */
export class SendSlot implements PooledSession {
  readonly mails = 0;
  readonly #lost = new AbortController();
  readonly #ended = new Set<() => void>();

  /** Aborted when the slot was lost: the mail in it must stop. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get alive(): boolean {
    return !this.#lost.signal.aborted;
  }

  onEnd(ended: () => void): () => void {
    if (this.alive) this.#ended.add(ended);
    else ended();
    return () => this.#ended.delete(ended);
  }

  async quit(): Promise<void> {
    this.cut();
  }

  cut(): void {
    this.#lost.abort(new Error('The slot of this mail is gone'));
    const ended = [...this.#ended];
    this.#ended.clear();
    for (const each of ended) each();
  }
}
