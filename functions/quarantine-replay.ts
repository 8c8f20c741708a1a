import { endpoint } from './app/endpoint.ts';

endpoint(
  'quarantine-replay',
  { method: 'POST', route: 'quarantine/{id}/replay', role: 'Mailroom.Admin' },
  () => import('../shared/http/quarantine/replay.ts'),
);
