import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export type AuthLevel = 'anonymous' | 'function' | 'admin';

/** Keys callers may present. Names are for the operator; only values are compared. */
export interface KeyOptions {
  readonly masterKey: string;
  /** Host function keys, by name: each opens every function of level `function`. */
  readonly hostKeys?: Readonly<Record<string, string>>;
  /** Keys of single functions: function name → key name → key. */
  readonly functionKeys?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface Keys {
  /** What a key opens for this function: the level granted, anonymous for an unknown or absent one. */
  levelOf(presented: string | undefined, functionName?: string): AuthLevel;
}

/** The keys of this host; only digests of them are kept. */
export function createKeys(options: KeyOptions): Keys {
  const master = digest(options.masterKey);
  const host = Object.values(options.hostKeys ?? {}).map(digest);
  const own = new Map(
    Object.entries(options.functionKeys ?? {}).map(([name, keys]) => [
      name.toLowerCase(),
      Object.values(keys).map(digest),
    ]),
  );
  return {
    levelOf: (presented, functionName) => {
      if (presented === undefined || presented === '') return 'anonymous';
      const given = digest(presented);
      if (timingSafeEqual(given, master)) return 'admin';
      const candidates = [...host, ...(own.get(functionName?.toLowerCase() ?? '') ?? [])];
      // No early end: how long it takes says nothing about which key came close.
      return candidates.reduce((found, key) => timingSafeEqual(given, key) || found, false) ? 'function' : 'anonymous';
    },
  };
}

/** Digests have one length, so that they can be compared in constant time. */
function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** Requirement met by equality, or by the master key. */
export function satisfies(granted: AuthLevel, required: AuthLevel): boolean {
  return required === 'anonymous' || granted === 'admin' || granted === required;
}

/** The header wins over the query's `code`, whose letter case does not count; of several the first counts. */
export function presentedKey(req: IncomingMessage, query: URLSearchParams): string | undefined {
  const inQuery = [...query].find(([name]) => name.toLowerCase() === 'code')?.[1];
  return req.headersDistinct['x-functions-key']?.[0] ?? inQuery;
}
