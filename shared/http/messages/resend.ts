import { whileCallerWaits } from '../../outbox/delivering/while-caller-waits.ts';
import { resendMessage } from '../../outbox/resend.ts';
import type { Answer, Call } from '../call.ts';
import { waitedAnswer, waitOptions } from './waited-answer.ts';

/**
 * `POST /messages/{id}/resend`: a message that failed, in part or as a whole, or is uncertain, is sent again, while the
 * caller waits if asked to.
 */
export async function handle(call: Call): Promise<Answer> {
  const { outbox } = call.services;
  const options = waitOptions(call);
  const record = await resendMessage(outbox, call.param('id'), options);
  return waitedAnswer(await whileCallerWaits(outbox, record, options), options);
}
