import { readAuthenticationResults } from '../mime/authentication-results.ts';
import type { Asset } from './asset.ts';

type Results = Asset['authenticationResults'][number];

/** As a description holds it. */
export function storedResults({ authservId, results, field }: ReturnType<typeof readAuthenticationResults>): Results {
  return {
    authservId: authservId ?? null,
    results: results.map(({ method, result, reason, properties }) => ({
      method,
      result,
      reason: reason ?? null,
      properties: properties.map(({ ptype, property, value }) => ({ ptype: ptype ?? null, property, value })),
    })),
    field,
  };
}

/**
 * A description, or its summary, in the form of today. Earlier versions kept the text of each `Authentication-Results`
 * field; only the topmost is surely of the server that took the mail in.
 */
export function inTodaysForm<T>(stored: T): T {
  if (typeof stored !== 'object' || stored === null || !('authenticationResults' in stored)) return stored;
  const fields = stored.authenticationResults;
  if (!Array.isArray(fields) || typeof fields[0] !== 'string') return stored;
  return { ...stored, authenticationResults: [storedResults(readAuthenticationResults(fields[0]))] };
}
