import type { Answer, Call } from '../call.ts';
import { download } from '../download.ts';

/** `GET /assets/{id}/mime`: the mail as it came. */
export async function handle({ request, param, services, signal }: Call): Promise<Answer> {
  const content = await services.assets.mime(param('id'), { signal });
  return await download(request.headers, content, { contentType: 'message/rfc822', name: 'message.eml' });
}
