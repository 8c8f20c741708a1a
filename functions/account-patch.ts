import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-patch',
  { method: 'PATCH', route: 'accounts/{account}', role: 'Mailroom.Admin', readsQuery: true },
  () => import('../shared/http/accounts/patch.ts'),
);
