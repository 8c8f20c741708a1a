import { openEndpoint } from './app/endpoint.ts';

openEndpoint(
  'console-file',
  { method: 'GET', route: 'console/{*path}', authLevel: 'anonymous' },
  () => import('../shared/http/console-files/file.ts'),
);
