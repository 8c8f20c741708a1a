import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-webhook-replay',
  { method: 'POST', route: 'accounts/{account}/webhook/replay', role: 'Mailroom.Admin' },
  () => import('../shared/http/webhook/replay.ts'),
);
