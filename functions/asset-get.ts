import { endpoint } from './app/endpoint.ts';

endpoint(
  'asset-get',
  { method: 'GET', route: 'assets/{id}', role: 'Mailroom.Read' },
  () => import('../shared/http/assets/get.ts'),
);
