/** What a part of the benchmark has started, in its order. */
export class Started {
  readonly #stops: (() => unknown)[] = [];

  /** Waits for a start, and notes how what it brought is stopped. */
  async add<T>(starting: Promise<T>, stop: (part: T) => unknown): Promise<T> {
    const part = await starting;
    this.#stops.push(() => stop(part));
    return part;
  }

  /** Stops all, last one first, each whatever became of the others. Answers what went wrong. */
  async stop(): Promise<readonly unknown[]> {
    const failures: unknown[] = [];
    for (const stop of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        failures.push(error);
      }
    }
    return failures;
  }
}

/** Works with what it starts, and stops that at the end, whichever it is. The first thing that went wrong is told. */
export async function withStarted<T>(work: (started: Started) => Promise<T>): Promise<T> {
  const started = new Started();
  let result: T;
  try {
    result = await work(started);
  } catch (error) {
    await started.stop();
    throw error;
  }
  const failures = await started.stop();
  if (failures.length > 0) throw failures[0];
  return result;
}
