import { openEndpoint } from './app/endpoint.ts';

openEndpoint(
  'health',
  { method: 'GET', route: 'health', authLevel: 'anonymous' },
  () => import('../shared/http/health/get.ts'),
);
