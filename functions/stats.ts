import { endpoint } from './app/endpoint.ts';

endpoint(
  'stats',
  { method: 'GET', route: 'stats', role: 'Mailroom.Read', readsQuery: true },
  () => import('../shared/http/stats/all.ts'),
);
