import { endpoint } from './endpoint.ts';

endpoint(
  'message-cancel',
  { method: 'DELETE', route: 'messages/{id}', role: 'Mailroom.Send' },
  async ({ param, services, signal }) => {
    const { cancelMessage } = await import('../shared/outbox/messages.ts');
    const { messageView } = await import('../shared/outbox/record.ts');
    return { jsonBody: messageView(await cancelMessage(services.outbox, param('id'), { signal })) };
  },
);
