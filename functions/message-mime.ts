import { endpoint } from './app/endpoint.ts';

endpoint(
  'message-mime',
  { method: 'GET', route: 'messages/{id}/mime', role: 'Mailroom.Read' },
  () => import('../shared/http/messages/mime.ts'),
);
