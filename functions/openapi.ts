import { openEndpoint } from './app/endpoint.ts';

openEndpoint(
  'openapi',
  { method: 'GET', route: 'openapi.json', authLevel: 'anonymous' },
  () => import('../shared/http/docs/document.ts'),
);
