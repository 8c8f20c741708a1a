import type { Answer, OpenCall } from '../call.ts';
import { keyOpens } from '../function-key.ts';
import { refuseParameters } from '../query.ts';
import { checkHealth, type Health } from './check.ts';

/** A health probe must have its answer soon; in ms. */
const probeMs = 10_000;

/** The route that says whether a key is good: on `/health` itself the host lets everybody in. */
const keyProbe = { method: 'GET', path: '/api/health/key', lets: 204 } as const;

/** `GET /health`: 200 or 503 with the status; with a function key also what was looked at. */
export async function handle({ request, services }: OpenCall): Promise<Answer> {
  refuseParameters(request.query);
  const detail = await keyOpens(request, keyProbe);
  const check = () => checkHealth({ detail, services, signal: AbortSignal.timeout(probeMs) });
  const health = await (detail ? check() : recent(check));
  return {
    status: health.status === 'healthy' ? 200 : 503,
    headers: { 'Cache-Control': 'no-store' },
    jsonBody: detail ? health : { status: health.status },
  };
}

/** What everybody may ask is asked of storage and vault once in this time; in ms. */
const servesMs = 5_000;

let last: { readonly at: number; readonly health: Promise<Health> } | undefined;

/** The answer of a moment ago, or a new one. */
function recent(check: () => Promise<Health>): Promise<Health> {
  if (last === undefined || performance.now() - last.at > servesMs) last = { at: performance.now(), health: check() };
  return last.health;
}
