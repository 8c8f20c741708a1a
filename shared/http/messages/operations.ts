import type { z } from 'zod';
import { sendRequestSchema } from '../../outbox/accepting/request.ts';
import { messageViewSchema } from '../../outbox/record.ts';
import { exampleIds, exampleMessageId } from '../openapi/examples.ts';
import { bytes, downloadAnswers, json, list, type Operation } from '../openapi/operation.ts';
import { listQuery } from '../paging.ts';
import { acceptedMailSchema } from './answers.ts';
import { messageFilters } from './list.ts';

const message: z.input<typeof messageViewSchema> = {
  id: exampleIds.message,
  account: 'corpus',
  status: 'sent',
  messageId: exampleMessageId,
  createdAt: '2026-03-02T08:00:00.000Z',
  sentAt: '2026-03-02T08:00:01.000Z',
  metadata: { invoice: '4711' },
  recipients: [{ address: 'jane@example.org', status: 'accepted', reply: '250 2.1.5 Ok' }],
  attempts: [{ at: '2026-03-02T08:00:01.000Z', outcome: 'sent', reply: '250 2.0.0 Ok: queued' }],
};

const accepted = { id: exampleIds.message, status: 'queued', messageId: exampleMessageId } as const;

/** The answers of a route whose caller may wait for the end of the delivery; `taken`: without that, or before. */
function waitedAnswers(taken: string) {
  return {
    200: {
      description: 'Its delivery ended while the caller waited.',
      content: json(messageViewSchema, message),
      headers: ['location', 'operationLocation', 'preferenceApplied'],
    },
    202: {
      description: taken,
      content: json(acceptedMailSchema, accepted),
      headers: ['location', 'operationLocation'],
    },
  } as const;
}

const send = {
  needs: 'Mailroom.Send',
  description:
    'Nothing is answered before the mail is durable. `Prefer: wait=N` delivers while the caller waits: 200 with the record if it ended in that time, failed included; else 202, with the attempt that was made. With an `Idempotency-Key` the same request may be sent again: it answers the same mail.',
  headers: ['idempotencyKey', 'prefer'],
  body: {
    description: 'The mail: its fields, or ready-made MIME with the envelope from its headers. At most 150 MiB.',
    content: {
      ...json(sendRequestSchema.meta({ id: 'SendRequest', description: 'A mail to be sent.' }), {
        to: ['Jane Doe <jane@example.org>', { name: 'Ops', address: 'ops@example.org' }],
        subject: 'Report for March',
        text: 'Hello Jane,\n\nthe report is attached.\n',
        attachments: [{ filename: 'report.csv', contentType: 'text/csv', content: 'bW9udGgsdG90YWwKTWFyY2gsNDIK' }],
        metadata: { invoice: '4711' },
      }),
      ...bytes('message/rfc822', 'A mail as MIME (RFC 5322). To, Cc and Bcc are its recipients; Bcc is not sent.'),
    },
  },
  answers: waitedAnswers('The mail is accepted, and will be delivered.'),
  problems: [404, 409, 413, 422, 429],
} as const satisfies Omit<Operation, 'route' | 'summary'>;

/** What can be done with mail that is sent. */
export const messageOperations = {
  'messages-send': { ...send, route: 'POST /messages', summary: 'Send a mail by the account corpus' },
  'account-messages-send': { ...send, route: 'POST /accounts/{account}/messages', summary: 'Send a mail' },
  'messages-list': {
    route: 'GET /messages',
    needs: 'Mailroom.Read',
    summary: 'List mail that was handed in, newest first',
    query: listQuery(messageFilters),
    answers: { 200: { description: 'A page of records.', content: list(messageViewSchema, message) } },
  },
  'message-get': {
    route: 'GET /messages/{id}',
    needs: 'Mailroom.Read',
    summary: 'Follow one mail',
    answers: { 200: { description: 'Its record.', content: json(messageViewSchema, message) } },
    problems: [404],
  },
  'message-mime': {
    route: 'GET /messages/{id}/mime',
    needs: 'Mailroom.Read',
    summary: 'Download what is sent, or was',
    description: 'Without Bcc. 404 with the reason where it is not kept any more.',
    headers: ['range', 'ifRange', 'ifNoneMatch'],
    answers: downloadAnswers('message/rfc822', 'The mail.'),
    problems: [404, 416],
  },
  'message-cancel': {
    route: 'DELETE /messages/{id}',
    needs: 'Mailroom.Send',
    summary: 'Cancel a mail',
    description: '409 once it is being sent.',
    answers: {
      200: {
        description: 'The record of the canceled mail.',
        content: json(messageViewSchema, {
          ...message,
          status: 'canceled',
          sentAt: undefined,
          attempts: [],
          recipients: [{ address: 'jane@example.org', status: 'pending' }],
        }),
      },
    },
    problems: [404, 409],
  },
  'message-retry': {
    route: 'POST /messages/{id}/retry',
    needs: 'Mailroom.Send',
    summary: 'Try now what waits for its next attempt',
    description:
      '409 where it does not wait, and while the account cannot send. `Prefer: wait=N` delivers while the caller waits.',
    headers: ['prefer'],
    answers: waitedAnswers('It is due now.'),
    problems: [404, 409],
  },
  'message-resend': {
    route: 'POST /messages/{id}/resend',
    needs: 'Mailroom.Send',
    summary: 'Send again what is failed, partiallySent or uncertain',
    description:
      'The same mail with the same Message-ID, to those who were not accepted, for another 48 hours. 409 in any other state, and while the account cannot send; 410 where the mail is not kept any more. `Prefer: wait=N` delivers while the caller waits.',
    headers: ['prefer'],
    answers: waitedAnswers('It is queued.'),
    problems: [404, 409, 410],
  },
} as const satisfies Readonly<Record<string, Operation>>;
