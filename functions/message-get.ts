import { endpoint } from './endpoint.ts';

endpoint(
  'message-get',
  { method: 'GET', route: 'messages/{id}', role: 'Mailroom.Read' },
  async ({ param, services, signal }) => {
    const { getMessage } = await import('../shared/outbox/messages.ts');
    const { messageView } = await import('../shared/outbox/record.ts');
    return { jsonBody: messageView(await getMessage(services.outbox, param('id'), { signal })) };
  },
);
