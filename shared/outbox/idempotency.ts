import { createHash } from 'node:crypto';
import { HttpProblem } from '../http/problem.ts';
import { digest } from '../platform/ids.ts';

/** Keys are kept this long per account (design section 3). */
export const keepKeyMs = 7 * 86_400_000;

/** Row of a key; the key itself may hold anything, so it is hashed. */
export function idempotencyRowKey(key: string): string {
  return `i:${digest(40, key)}`;
}

/** Checks a key's form (1 to 256 characters). Throws HttpProblem 400. */
export function parseIdempotencyKey(header: string | null): string | undefined {
  if (header === null) {
    return undefined;
  }
  const key = header.trim();
  if (key.length < 1 || key.length > 256) {
    throw new HttpProblem(400, 'Idempotency-Key must have 1 to 256 characters.');
  }
  return key;
}

/** Gathers the hash of a request while its body passes. */
export function requestHasher(contentType: string, query: string) {
  const hash = createHash('sha256').update(`${contentType}\n${query}\n`);
  let digested: string | undefined;
  return {
    update(bytes: Uint8Array): void {
      hash.update(bytes);
    },
    digest(): string {
      digested ??= hash.digest('hex');
      return digested;
    },
  };
}
