import { endpoint } from './app/endpoint.ts';

endpoint(
  'message-retry',
  { method: 'POST', route: 'messages/{id}/retry', role: 'Mailroom.Send' },
  () => import('../shared/http/messages/retry.ts'),
);
