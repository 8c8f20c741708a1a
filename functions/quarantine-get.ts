import { endpoint } from './app/endpoint.ts';

endpoint(
  'quarantine-get',
  { method: 'GET', route: 'quarantine/{id}', role: 'Mailroom.Read' },
  () => import('../shared/http/quarantine/get.ts'),
);
