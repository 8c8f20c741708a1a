import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-delete',
  { method: 'DELETE', route: 'accounts/{account}', role: 'Mailroom.Admin', readsQuery: true },
  () => import('../shared/http/accounts/delete.ts'),
);
