import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-webhook-get',
  { method: 'GET', route: 'accounts/{account}/webhook', role: 'Mailroom.Read' },
  () => import('../shared/http/webhook/get.ts'),
);
