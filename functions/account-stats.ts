import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-stats',
  { method: 'GET', route: 'accounts/{account}/stats', role: 'Mailroom.Read', readsQuery: true },
  () => import('../shared/http/stats/account.ts'),
);
