import type { HttpResponseInit } from '@azure/functions';
import { preferenceApplied, waitSeconds } from '../shared/http/prefer.ts';
import { messageView, recordId } from '../shared/outbox/record.ts';
import { submit } from '../shared/outbox/submit.ts';
import type { Call } from './endpoint.ts';

/** `POST .../messages`: 202 with where to follow the mail, or 200 with its record if it ended while the caller waited. */
export async function sendMessage({ request, services, signal }: Call, account: string): Promise<HttpResponseInit> {
  const wait = waitSeconds(request.headers);
  const stored = await services.accounts.get(account, { signal });
  const { record, ended } = await submit(services.outbox, stored.account, request, {
    signal,
    ...(wait === undefined ? {} : { waitMs: wait * 1000 }),
  });
  const location = `/api/messages/${recordId(record)}`;
  const headers = { Location: location, 'Operation-Location': location };
  if (wait !== undefined && ended) {
    return { status: 200, headers: { ...headers, ...preferenceApplied(wait) }, jsonBody: messageView(record) };
  }
  const { id, status, messageId } = messageView(record);
  return { status: 202, headers, jsonBody: { id, status, messageId } };
}
