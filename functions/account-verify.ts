import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-verify',
  { method: 'POST', route: 'accounts/{account}/verify', role: 'Mailroom.Admin' },
  () => import('../shared/http/accounts/verify.ts'),
);
