import type { Answer, Call } from '../call.ts';

/** `GET /assets/{id}`: what an import left of a mail. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  return { jsonBody: await services.assets.get(param('id'), { signal }) };
}
