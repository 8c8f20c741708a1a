import type { Answer, Call } from '../call.ts';

/** `GET /quarantine/{id}`: one quarantined mail, with the reason and where it lies. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  return { jsonBody: await services.quarantine.get(param('id'), { signal }) };
}
