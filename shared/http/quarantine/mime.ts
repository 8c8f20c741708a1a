import type { Answer, Call } from '../call.ts';
import { download } from '../download.ts';

/** `GET /quarantine/{id}/mime`: the bytes, where the server gave them. */
export async function handle({ request, param, services, signal }: Call): Promise<Answer> {
  const content = await services.quarantine.mime(param('id'), { signal });
  return await download(request.headers, content, { contentType: 'message/rfc822', name: 'message.eml' });
}
