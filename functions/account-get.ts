import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-get',
  { method: 'GET', route: 'accounts/{account}', role: 'Mailroom.Read' },
  () => import('../shared/http/accounts/get.ts'),
);
