import { notificationsSchema } from '../../inbox/push/hear.ts';
import { bytes, json, type Operation } from '../openapi/operation.ts';
import { validationQuery } from './query.ts';

/** What Microsoft Graph calls. */
export const graphOperations = {
  'graph-notifications': {
    route: 'POST /graph/notifications',
    needs: 'nothing',
    summary: 'Take notifications of Microsoft Graph',
    description:
      'For Graph alone. It tells of new mail in the folders of accounts with `push`, and of what becomes of its subscriptions. What it has not sent changes nothing and is answered like what it has. With `validationToken` it asks whether it may call here, and gets the token back.',
    query: validationQuery,
    body: {
      optional: true,
      content: {
        ...json(notificationsSchema, {
          value: [
            {
              subscriptionId: '7f105c7d-2dc5-4530-97cd-4e7ae6534c07',
              clientState: 'as the subscription has it',
              changeType: 'created',
              resource: 'Users/8ee44408-0679-472c-bc2a-692812af3437/Messages/AAkALgAA',
              tenantId: '84bd8158-6d4d-4958-8b9f-9d6445542f95',
            },
          ],
        }),
        ...bytes('text/plain', 'With `validationToken`; empty.'),
      },
    },
    answers: {
      200: { description: 'The validation token.', content: bytes('text/plain', 'The token as it was given.') },
      202: { description: 'Taken, or passed over.' },
    },
  },
} as const satisfies Readonly<Record<string, Operation>>;
