import type { Answer, Call } from '../call.ts';
import { download } from '../download.ts';
import { safeType } from './safe-type.ts';

/** `GET /assets/{id}/attachments/{n}`: one attachment, decoded. */
export async function handle({ request, param, services, signal }: Call): Promise<Answer> {
  const { attachment, content } = await services.assets.attachment(param('id'), Number(param('n')), { signal });
  // The blob's name without its number: the safe form of the sender's name.
  const name = attachment.path.slice(attachment.path.lastIndexOf('/') + 1 + `${attachment.n}-`.length);
  return await download(request.headers, content, { contentType: safeType(attachment.contentType), name });
}
