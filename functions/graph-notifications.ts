import { openEndpoint } from './app/endpoint.ts';

openEndpoint(
  'graph-notifications',
  { method: 'POST', route: 'graph/notifications', authLevel: 'anonymous' },
  () => import('../shared/http/graph/notifications.ts'),
);
