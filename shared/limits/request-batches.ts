/** Somebody who asks, and is answered once: by `answer`, or because it stopped asking. */
export interface PendingRequest<T> {
  /** Not answered yet. */
  readonly open: boolean;
  answer(answer: T): void;
}

/** How requests are answered. */
export interface RequestBatchesOptions<T> {
  /** Answers as many requests as it can, and does whatever else is due. It is called by one round at a time. */
  readonly answerAll: (requests: readonly PendingRequest<T>[]) => Promise<void>;
  /** `answerAll` rejected. */
  readonly failed: (error: unknown) => void;
  /** The answer to each request that `answerAll` leaves open. */
  readonly unavailable: () => T;
}

/** Collects the requests that are made while a round is under way, so that the next round answers them all at once. */
export class RequestBatches<T> {
  readonly #options: RequestBatchesOptions<T>;
  readonly #pending: PendingRequest<T>[] = [];
  #running = false;
  #again = false;

  constructor(options: RequestBatchesOptions<T>) {
    this.#options = options;
  }

  /** Requests for the next round. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Makes a request. Never rejects; when `signal` is aborted the answer is that of `unavailable`. */
  ask(signal: AbortSignal): Promise<T> {
    if (signal.aborted) return Promise.resolve(this.#options.unavailable());
    return new Promise((resolve) => {
      let open = true;
      const answer = (value: T) => {
        if (!open) return;
        open = false;
        signal.removeEventListener('abort', onAbort);
        resolve(value);
      };
      const onAbort = () => answer(this.#options.unavailable());
      signal.addEventListener('abort', onAbort, { once: true });
      this.#pending.push({
        answer,
        get open() {
          return open;
        },
      });
      this.runRound();
    });
  }

  /** Runs another round, after the one that is under way. */
  runRound(): void {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    void this.#runRounds();
  }

  async #runRounds(): Promise<void> {
    const { answerAll, failed, unavailable } = this.#options;
    while (this.#again) {
      // Whoever asks in the same turn of the event loop shares the round.
      await new Promise(setImmediate);
      this.#again = false;
      const requests = this.#pending.splice(0);
      try {
        await answerAll(requests);
      } catch (error) {
        failed(error);
      }
      for (const request of requests) request.answer(unavailable());
    }
    this.#running = false;
  }
}
