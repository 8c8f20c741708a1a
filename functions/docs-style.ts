import { openEndpoint } from './app/endpoint.ts';

openEndpoint(
  'docs-style',
  { method: 'GET', route: 'docs/page.css', authLevel: 'anonymous' },
  () => import('../shared/http/docs/style.ts'),
);
