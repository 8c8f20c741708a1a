import { getMessageMime } from '../../outbox/message-mime.ts';
import type { Answer, Call } from '../call.ts';
import { download } from '../download.ts';

/** `GET /messages/{id}/mime`: what was sent, while it is kept. */
export async function handle({ request, param, services, signal }: Call): Promise<Answer> {
  const keptDays = services.settings.outboxRetentionDays;
  const content = await getMessageMime(services.outbox, param('id'), { signal, keptDays });
  return await download(request.headers, content, { contentType: 'message/rfc822', name: 'message.eml' });
}
