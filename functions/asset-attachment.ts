import { endpoint } from './app/endpoint.ts';

endpoint(
  'asset-attachment',
  { method: 'GET', route: 'assets/{id}/attachments/{n:int}', role: 'Mailroom.Read' },
  () => import('../shared/http/assets/attachment.ts'),
);
