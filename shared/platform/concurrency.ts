/** What bounds the tasks that run at one time. */
export interface TaskLimits {
  /** Tasks under way at one time. */
  readonly tasks: number;
  /** Bytes that they hold together; a single task may hold more. Default: any number. */
  readonly bytes?: number;
}

/**
 * Tasks under way at one time, bounded in number and in the bytes that they hold. The first failure stops new ones. What
 * has begun is never left alone: whoever waits for `finish` knows that nothing of it runs any more, after a failure too.
 */
export class BoundedTasks {
  readonly #limits: TaskLimits;
  readonly #running = new Set<Promise<void>>();
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(limits: TaskLimits) {
    this.#limits = limits;
  }

  /** A task has failed: nothing new is begun. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Resolves once the task has begun. Rejects with the first failure, and the task is not begun. */
  async start(task: () => Promise<unknown>, bytes = 0): Promise<void> {
    while (this.#isFull(bytes)) await Promise.race(this.#running);
    this.#throwFailure();
    this.#bytes += bytes;
    const running: Promise<void> = this.#run(task).finally(() => {
      this.#bytes -= bytes;
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  /** Resolves once no task is under way, whether or not one failed. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Resolves once no task is under way. Rejects then with the first failure. */
  async finish(): Promise<void> {
    await this.idle();
    this.#throwFailure();
  }

  #isFull(bytes: number): boolean {
    if (this.#running.size >= this.#limits.tasks) return true;
    return this.#running.size > 0 && this.#bytes + bytes > (this.#limits.bytes ?? Number.POSITIVE_INFINITY);
  }

  async #run(task: () => Promise<unknown>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/**
 * Runs `task` for each item, at most `concurrency` at one time, and answers the results in the order of the items. After
 * the first failure no task is begun; it is thrown once none is under way any more.
 */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  concurrency: number,
  task: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  const tasks = new BoundedTasks({ tasks: concurrency });
  for (const [index, item] of items.entries()) {
    const run = async () => {
      results[index] = await task(item);
    };
    // The failure is thrown by `finish`.
    await tasks.start(run).catch(() => undefined);
    if (tasks.failed) break;
  }
  await tasks.finish();
  return results;
}
