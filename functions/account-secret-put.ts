import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-secret-put',
  { method: 'PUT', route: 'accounts/{account}/secrets/{name}', role: 'Mailroom.Admin' },
  () => import('../shared/http/accounts/put-secret.ts'),
);
