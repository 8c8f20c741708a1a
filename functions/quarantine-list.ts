import { endpoint } from './app/endpoint.ts';

endpoint(
  'quarantine-list',
  { method: 'GET', route: 'quarantine', role: 'Mailroom.Read', readsQuery: true },
  () => import('../shared/http/quarantine/list.ts'),
);
