import { type Host, type HostOptions, startHost } from '../host.ts';
import { type AppParts, makeApp } from './make-app.ts';

export const MASTER_KEY = 'master-key-of-the-test';
export const HOST_KEY = 'host-key-of-the-test';

export interface TestHost {
  readonly host: Host;
  /** Every log line so far. */
  readonly lines: readonly string[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Fires a function by the admin route. */
  fire(name: string, body?: object): Promise<Response>;
  stop(): Promise<void>;
}

/** Starts a host in this process on a port the system picks, with settings of its own. */
export async function startTestHost(
  parts: AppParts,
  { env = {}, ...options }: Partial<HostOptions> = {},
): Promise<TestHost> {
  const app = await makeApp(parts);
  const lines: string[] = [];
  try {
    const host = await startHost({
      appDir: app.dir,
      port: 0,
      keys: { masterKey: MASTER_KEY, hostKeys: { default: HOST_KEY }, functionKeys: { own: { one: 'own-key' } } },
      env: { ...env },
      logSink: (level, line) => lines.push(`${level}: ${line}`),
      drainTimeout: 5_000,
      ...options,
    });
    return {
      host,
      lines,
      fetch: (path, init) => fetch(host.url + path, init),
      fire: (name, body = {}) =>
        fetch(`${host.url}/admin/functions/${name}`, {
          method: 'POST',
          headers: { 'x-functions-key': MASTER_KEY, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      stop: async () => {
        await host.stop();
        await app.remove();
      },
    };
  } catch (error) {
    await app.remove();
    throw error;
  }
}

/** Polls until `probe` gives a value, failing after `milliseconds`. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  milliseconds = 15_000,
): Promise<T> {
  const until = Date.now() + milliseconds;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > until) throw new Error(`waited ${milliseconds} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
