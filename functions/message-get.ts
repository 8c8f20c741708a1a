import { endpoint } from './app/endpoint.ts';

endpoint(
  'message-get',
  { method: 'GET', route: 'messages/{id}', role: 'Mailroom.Read' },
  () => import('../shared/http/messages/get.ts'),
);
