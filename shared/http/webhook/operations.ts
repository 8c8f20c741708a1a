import { replayedSchema, replaySchema } from '../../events/webhooks/replay.ts';
import { testResultSchema } from '../../events/webhooks/test-event.ts';
import { webhookViewSchema } from '../../events/webhooks/view.ts';
import { exampleIds } from '../openapi/examples.ts';
import { json, type Operation } from '../openapi/operation.ts';

const event = `mailroom.mail.imported:${exampleIds.asset}`;

/** What can be done with the webhook of an account. */
export const webhookOperations = {
  'account-webhook-get': {
    route: 'GET /accounts/{account}/webhook',
    needs: 'Mailroom.Read',
    summary: 'See how deliveries of events go',
    answers: {
      200: {
        description: 'The state of the webhook.',
        content: json(webhookViewSchema.meta({ id: 'Webhook' }), {
          account: 'corpus',
          url: 'https://dam.example.com/mail',
          events: ['mailroom.mail.*'],
          state: 'failing',
          waiting: 3,
          nextAttemptAt: '2026-03-02T08:05:00.000Z',
          lastSuccess: '2026-03-02T07:00:00.000Z',
          failingSince: '2026-03-02T08:00:00.000Z',
          givenUp: 0,
          lastFailures: [
            { at: '2026-03-02T08:00:00.000Z', id: event, type: 'mailroom.mail.imported', attempt: 1, status: 503 },
          ],
          lastGivenUp: [],
        }),
      },
    },
    problems: [404],
  },
  'account-webhook-test': {
    route: 'POST /accounts/{account}/webhook/test',
    needs: 'Mailroom.Admin',
    summary: 'Send the event mailroom.webhook.test now',
    answers: {
      200: {
        description: 'What came back.',
        content: json(testResultSchema, {
          id: 'mailroom.webhook.test:corpus:2026-03-02T08:00:00.000Z',
          delivered: true,
          status: 204,
          ms: 87,
        }),
      },
    },
    problems: [404, 409],
  },
  'account-webhook-replay': {
    route: 'POST /accounts/{account}/webhook/replay',
    needs: 'Mailroom.Admin',
    summary: 'Send again what was given up',
    description: '409 where there is no webhook, or it has stopped.',
    body: { content: json(replaySchema, { since: '2026-03-01T00:00:00Z' }) },
    answers: {
      202: {
        description: 'They are sent again.',
        content: json(replayedSchema, { replayed: 12, more: false }),
        headers: ['location'],
      },
    },
    problems: [404, 409, 413],
  },
} as const satisfies Readonly<Record<string, Operation>>;
