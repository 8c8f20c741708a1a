import { endpoint } from './app/endpoint.ts';

endpoint(
  'assets-list',
  { method: 'GET', route: 'assets', role: 'Mailroom.Read', readsQuery: true },
  () => import('../shared/http/assets/list.ts'),
);
