import { endpoint } from './app/endpoint.ts';

endpoint(
  'messages-list',
  { method: 'GET', route: 'messages', role: 'Mailroom.Read', readsQuery: true },
  () => import('../shared/http/messages/list.ts'),
);
