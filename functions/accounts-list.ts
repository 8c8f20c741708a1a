import { endpoint } from './app/endpoint.ts';

endpoint(
  'accounts-list',
  { method: 'GET', route: 'accounts', role: 'Mailroom.Read', readsQuery: true },
  () => import('../shared/http/accounts/list.ts'),
);
