import type { Answer, OpenCall } from '../call.ts';
import { refuseParameters } from '../query.ts';

/**
 * `GET /health/key`: 204. The host lets nobody in without a key, so that the answer says that the key is good; `/health`
 * asks it for its callers. Asks neither settings nor roles: the detail of `/health` is wanted most when those are wrong.
 */
export async function handle({ request }: OpenCall): Promise<Answer> {
  refuseParameters(request.query);
  return { status: 204 };
}
