import { endpoint } from './app/endpoint.ts';

endpoint(
  'message-cancel',
  { method: 'DELETE', route: 'messages/{id}', role: 'Mailroom.Send' },
  () => import('../shared/http/messages/cancel.ts'),
);
