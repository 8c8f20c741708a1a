import { whileCallerWaits } from '../../outbox/delivering/while-caller-waits.ts';
import { retryMessage } from '../../outbox/messages.ts';
import type { Answer, Call } from '../call.ts';
import { waitedAnswer, waitOptions } from './waited-answer.ts';

/** `POST /messages/{id}/retry`: a message that waits is tried now, while the caller waits if asked to. */
export async function handle(call: Call): Promise<Answer> {
  const { outbox } = call.services;
  const options = waitOptions(call);
  const record = await retryMessage(outbox, call.param('id'), options);
  return waitedAnswer(await whileCallerWaits(outbox, record, options), options);
}
