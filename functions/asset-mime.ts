import { endpoint } from './app/endpoint.ts';

endpoint(
  'asset-mime',
  { method: 'GET', route: 'assets/{id}/mime', role: 'Mailroom.Read' },
  () => import('../shared/http/assets/mime.ts'),
);
