import type { Waited, WaitOptions } from '../../outbox/delivering/while-caller-waits.ts';
import { messageView } from '../../outbox/record.ts';
import type { Answer, Call } from '../call.ts';
import { preferenceApplied, waitSeconds } from '../prefer.ts';
import type { AcceptedMail } from './answers.ts';
import { messageHeaders } from './message-headers.ts';

/** How long the caller of a message's route wants to wait for its end. */
export function waitOptions({ request, signal }: Pick<Call, 'request' | 'signal'>): WaitOptions {
  const wait = waitSeconds(request.headers);
  return { signal, ...(wait === undefined ? {} : { waitMs: wait * 1000 }) };
}

/**
 * What a caller is told of a message that is to be delivered: 202 with where to follow it, and with the attempt that was
 * made while the caller waited; or 200 with its record if it ended meanwhile.
 */
export function waitedAnswer({ record, ended, attempt }: Waited, { waitMs }: WaitOptions): Answer {
  const view = messageView(record);
  const { id, status, messageId, nextAttemptAt } = view;
  const headers = messageHeaders(id);
  if (waitMs !== undefined && ended) {
    return { status: 200, headers: { ...headers, ...preferenceApplied(waitMs / 1000) }, jsonBody: view };
  }
  const accepted: AcceptedMail = { id, status, messageId };
  if (!attempt) return { status: 202, headers, jsonBody: accepted };
  const { at: _, ...made } = attempt;
  const tried: AcceptedMail = { ...accepted, attempt: made, ...(nextAttemptAt === undefined ? {} : { nextAttemptAt }) };
  return { status: 202, headers, jsonBody: tried };
}
