import { endpoint } from './app/endpoint.ts';

endpoint(
  'quarantine-delete',
  { method: 'DELETE', route: 'quarantine/{id}', role: 'Mailroom.Admin' },
  () => import('../shared/http/quarantine/delete.ts'),
);
