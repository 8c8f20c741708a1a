/** A signal, and how it is undone: a process hears of its end once, work comes and goes. */
export interface CutSignal {
  readonly signal: AbortSignal;
  forget(): void;
}

/**
 * The end of this process, which is announced some seconds before (Azure Functions: hook `appTerminate`, 5 s). From then
 * on no work is begun; what is under way is ended or given back.
 */
export class Shutdown {
  readonly #announced = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();

  /** Aborted when the end is announced. */
  get stopping(): AbortSignal {
    return this.#announced.signal;
  }

  /** Work that is to end before the process does. Answers what it answers. */
  track<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => undefined,
      () => undefined,
    );
    this.#underWay.add(settled);
    void settled.then(() => this.#underWay.delete(settled));
    return work;
  }

  /** A signal that is aborted `graceMs` after the end was announced, where `stops` still says so. */
  cutAfter(graceMs: number, stops: () => boolean = () => true): CutSignal {
    const cut = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const wait = () => {
      timer = setTimeout(() => {
        if (stops()) cut.abort(new Error('The process is to end'));
      }, graceMs);
    };
    if (this.stopping.aborted) wait();
    else this.stopping.addEventListener('abort', wait, { once: true });
    return {
      signal: cut.signal,
      forget: () => {
        clearTimeout(timer);
        this.stopping.removeEventListener('abort', wait);
      },
    };
  }

  /** Announces the end and waits until all work has ended, but not longer than `withinMs`. Answers how much has not. */
  async announce(withinMs: number): Promise<number> {
    this.#announced.abort(new Error('The process is to end'));
    const until = performance.now() + withinMs;
    // Work that ends may leave other work behind.
    while (this.#underWay.size > 0 && performance.now() < until) {
      let timer: NodeJS.Timeout | undefined;
      const time = new Promise((resolve) => {
        timer = setTimeout(resolve, until - performance.now());
      });
      await Promise.race([Promise.all(this.#underWay), time]);
      clearTimeout(timer);
    }
    return this.#underWay.size;
  }
}
