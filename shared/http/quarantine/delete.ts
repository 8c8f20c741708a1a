import type { Answer, Call } from '../call.ts';

/** `DELETE /quarantine/{id}`: drops it for good, 204. It is not imported again, and its original stays. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  await services.quarantine.delete(param('id'), { signal });
  return { status: 204 };
}
