import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-run-get',
  { method: 'GET', route: 'accounts/{account}/runs/{runId}', role: 'Mailroom.Read' },
  () => import('../shared/http/imports/get-run.ts'),
);
