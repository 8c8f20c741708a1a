import { cancelMessage } from '../../outbox/messages.ts';
import { messageView } from '../../outbox/record.ts';
import type { Answer, Call } from '../call.ts';

/** `DELETE /messages/{id}`: the record of the canceled message; 409 once it is being sent. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  return { jsonBody: messageView(await cancelMessage(services.outbox, param('id'), { signal })) };
}
