import { endpoint } from './app/endpoint.ts';

endpoint(
  'asset-delete',
  { method: 'DELETE', route: 'assets/{id}', role: 'Mailroom.Admin' },
  () => import('../shared/http/assets/delete.ts'),
);
