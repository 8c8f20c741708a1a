import { ownOrigin } from '../platform/environment.ts';
import type { CallRequest } from './call.ts';

/** What the host reads of a query itself, in any letter case (Azure Functions: "Authorize with function access keys"). */
const hostParameters: ReadonlySet<string> = new Set(['code', 'clientid']);

/** Whether the query parameter is the host's and no route's. */
export function isHostParameter(name: string): boolean {
  return hostParameters.has(name.toLowerCase());
}

/** The function key of a request, where the host finds it: in its header, else in the query. */
function functionKey(request: Pick<CallRequest, 'headers' | 'query'>): string | undefined {
  const inQuery = [...request.query].find(([name]) => name.toLowerCase() === 'code')?.[1];
  return request.headers.get('x-functions-key') ?? inQuery;
}

/** A call of the app's own routes is answered soon; in ms. */
const probeMs = 10_000;

/** A call of a route that answers `lets` to a key that opens it, and changes nothing. */
export interface KeyProbe {
  readonly method: 'GET' | 'PUT';
  /** With `/api`. */
  readonly path: string;
  readonly lets: number;
}

/**
 * Whether the caller's key opens the function that `probe` calls. Only the host knows its keys, so the key is tried on
 * that function. False where there is no key, and where it could not be tried. Never throws.
 */
export async function keyOpens(request: Pick<CallRequest, 'headers' | 'query'>, probe: KeyProbe): Promise<boolean> {
  const key = functionKey(request);
  const origin = ownOrigin();
  if (key === undefined || origin === undefined) return false;
  try {
    const answer = await fetch(new URL(probe.path, origin), {
      method: probe.method,
      headers: { 'x-functions-key': key, 'content-type': 'application/json' },
      ...(probe.method === 'PUT' ? { body: '{}' } : {}),
      redirect: 'error',
      signal: AbortSignal.timeout(probeMs),
    });
    await answer.arrayBuffer();
    return answer.status === probe.lets;
  } catch {
    return false;
  }
}
