import type { Answer, OpenCall } from '../call.ts';
import { refuseParameters } from '../query.ts';

/** `GET /console`: leads to the console's first screen. */
export async function handle({ request }: OpenCall): Promise<Answer> {
  refuseParameters(request.query);
  return { status: 302, headers: { Location: '/api/console/accounts', 'Cache-Control': 'no-cache' } };
}
