import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-status',
  { method: 'GET', route: 'accounts/{account}/status', role: 'Mailroom.Read' },
  () => import('../shared/http/accounts/status.ts'),
);
