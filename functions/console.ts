import { openEndpoint } from './app/endpoint.ts';

openEndpoint(
  'console',
  { method: 'GET', route: 'console', authLevel: 'anonymous' },
  () => import('../shared/http/console-files/redirect.ts'),
);
