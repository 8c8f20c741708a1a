import { GraphRefusal } from './graph-error.ts';

export interface RateOptions {
  readonly requests: number;
  readonly withinMs: number;
  readonly now: () => number;
}

/** So many requests within a time, of each owner. */
export class RequestRate {
  readonly #options: RateOptions;
  readonly #times = new Map<string, number[]>();

  constructor(options: RateOptions) {
    this.#options = options;
  }

  /** Counts a request. Throws 429, with the time until there is room again. */
  enter(owner: string): void {
    const { requests, withinMs, now } = this.#options;
    const at = now();
    const recent = (this.#times.get(owner) ?? []).filter((time) => time > at - withinMs && time <= at);
    this.#times.set(owner, recent);
    const [first = at] = recent;
    if (recent.length >= requests) {
      throw new GraphRefusal(429, 'TooManyRequests', 'Too many requests.', {
        'retry-after': String(Math.max(1, Math.ceil((first + withinMs - at) / 1000))),
      });
    }
    recent.push(at);
  }
}
