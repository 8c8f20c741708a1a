import { openEndpoint } from './app/endpoint.ts';

openEndpoint(
  'docs',
  { method: 'GET', route: 'docs', authLevel: 'anonymous' },
  () => import('../shared/http/docs/page.ts'),
);
