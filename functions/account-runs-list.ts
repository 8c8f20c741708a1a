import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-runs-list',
  { method: 'GET', route: 'accounts/{account}/runs', role: 'Mailroom.Read', readsQuery: true },
  () => import('../shared/http/imports/list-runs.ts'),
);
