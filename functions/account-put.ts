import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-put',
  { method: 'PUT', route: 'accounts/{account}', role: 'Mailroom.Admin', readsQuery: true },
  () => import('../shared/http/accounts/put.ts'),
);
