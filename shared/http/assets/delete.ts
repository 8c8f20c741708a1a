import type { Answer, Call } from '../call.ts';

/** `DELETE /assets/{id}`: 204; the mail is not imported again. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  await services.assets.delete(param('id'), { signal });
  return { status: 204 };
}
