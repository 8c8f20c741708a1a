import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-retry',
  { method: 'POST', route: 'accounts/{account}/retry', role: 'Mailroom.Admin' },
  () => import('../shared/http/accounts/retry.ts'),
);
