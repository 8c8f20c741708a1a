import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-import',
  { method: 'POST', route: 'accounts/{account}/import', role: 'Mailroom.Admin' },
  () => import('../shared/http/imports/start.ts'),
);
