import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-webhook-test',
  { method: 'POST', route: 'accounts/{account}/webhook/test', role: 'Mailroom.Admin' },
  () => import('../shared/http/webhook/test.ts'),
);
