import { openEndpoint } from './app/endpoint.ts';

openEndpoint(
  'docs-script',
  { method: 'GET', route: 'docs/page.js', authLevel: 'anonymous' },
  () => import('../shared/http/docs/script.ts'),
);
