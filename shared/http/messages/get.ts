import { getMessage } from '../../outbox/messages.ts';
import { messageView } from '../../outbox/record.ts';
import type { Answer, Call } from '../call.ts';

/** `GET /messages/{id}`: the message record. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  return { jsonBody: messageView(await getMessage(services.outbox, param('id'), { signal })) };
}
