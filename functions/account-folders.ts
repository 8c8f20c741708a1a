import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-folders',
  { method: 'GET', route: 'accounts/{account}/folders', role: 'Mailroom.Read' },
  () => import('../shared/http/accounts/folders.ts'),
);
