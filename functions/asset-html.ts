import { endpoint } from './app/endpoint.ts';

endpoint(
  'asset-html',
  { method: 'GET', route: 'assets/{id}/html', role: 'Mailroom.Read', readsQuery: true },
  () => import('../shared/http/assets/html.ts'),
);
