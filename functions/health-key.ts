import { openEndpoint } from './app/endpoint.ts';

openEndpoint(
  'health-key',
  { method: 'GET', route: 'health/key', authLevel: 'function' },
  () => import('../shared/http/health/key.ts'),
);
