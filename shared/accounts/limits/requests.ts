/** One that asks, and is answered once: by `answer`, or because it stopped asking. */
export interface Want<T> {
  readonly open: boolean;
  answer(with_: T): void;
}

export interface RequestsOptions<T> {
  /** Answers those who ask as far as it can; it also does whatever else is due. Called by one at a time. */
  readonly carryOut: (wants: readonly Want<T>[]) => Promise<void>;
  /** `carryOut` rejected. */
  readonly failed: (error: unknown) => void;
  /** What everyone gets who is left without an answer. */
  readonly refusal: () => T;
}

/** Brings those together who ask while a round is under way, so that the next round carries all of them out at once. */
export class Requests<T> {
  readonly #options: RequestsOptions<T>;
  readonly #waiting: Want<T>[] = [];
  #running = false;
  #again = false;

  constructor(options: RequestsOptions<T>) {
    this.#options = options;
  }

  /** Those who wait for the next round. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Asks. Never rejects; an abort is answered with a refusal. */
  ask(signal: AbortSignal): Promise<T> {
    if (signal.aborted) return Promise.resolve(this.#options.refusal());
    return new Promise((resolve) => {
      let open = true;
      const answer = (with_: T) => {
        if (!open) return;
        open = false;
        signal.removeEventListener('abort', onAbort);
        resolve(with_);
      };
      const onAbort = () => answer(this.#options.refusal());
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push({
        answer,
        get open() {
          return open;
        },
      });
      this.run();
    });
  }

  /** Has another round made, after the one that is under way. */
  run(): void {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    void this.#rounds();
  }

  async #rounds(): Promise<void> {
    const { carryOut, failed, refusal } = this.#options;
    while (this.#again) {
      // Whoever asks in the same turn of the event loop shares the round.
      await new Promise(setImmediate);
      this.#again = false;
      const wants = this.#waiting.splice(0);
      try {
        await carryOut(wants);
      } catch (error) {
        failed(error);
      }
      for (const want of wants) want.answer(refusal());
    }
    this.#running = false;
  }
}
