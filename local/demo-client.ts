import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

export interface DemoClientOptions {
  readonly url: string;
  readonly functionKey: string;
  readonly masterKey: string;
  readonly signal: AbortSignal;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses that are fine; any other is a failure. */
  readonly expect: readonly number[];
}

export interface Answer {
  readonly status: number;
  readonly bytes: Buffer;
}

/** Calls a running Mailroom as its callers do. */
export class DemoClient {
  readonly #options: DemoClientOptions;

  constructor(options: DemoClientOptions) {
    this.#options = options;
  }

  async call(method: string, path: string, options: CallOptions): Promise<Answer> {
    const admin = path.startsWith('/admin/');
    const { url, functionKey, masterKey, signal } = this.#options;
    const response = await fetch(url + path, {
      method,
      headers: {
        'x-functions-key': admin ? masterKey : functionKey,
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      signal,
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    if (!options.expect.includes(response.status)) {
      throw new Error(`${method} ${path} answered ${response.status}: ${bytes.toString('utf8', 0, 500)}`);
    }
    return { status: response.status, bytes };
  }

  /** The same, with an answer of a known shape. */
  async json<T>(method: string, path: string, schema: z.ZodType<T>, options: CallOptions): Promise<T> {
    const { bytes } = await this.call(method, path, options);
    const parsed = schema.safeParse(JSON.parse(bytes.toString('utf8')));
    if (parsed.success) return parsed.data;
    throw new Error(`${method} ${path} answered what was not expected: ${z.prettifyError(parsed.error)}`);
  }

  /** Asks again until there is an answer. */
  async until<T>(what: string, ask: () => Promise<T | undefined>, timeoutMs: number): Promise<T> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = await ask();
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain for ${what}`);
      await sleep(pollMs, undefined, { signal: this.#options.signal });
    }
  }
}

const pollMs = 250;
