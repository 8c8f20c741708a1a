import { endpoint } from './app/endpoint.ts';

endpoint(
  'quarantine-mime',
  { method: 'GET', route: 'quarantine/{id}/mime', role: 'Mailroom.Read' },
  () => import('../shared/http/quarantine/mime.ts'),
);
