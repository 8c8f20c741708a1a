import { endpoint } from './app/endpoint.ts';

endpoint(
  'account-messages-send',
  { method: 'POST', route: 'accounts/{account}/messages', role: 'Mailroom.Send' },
  () => import('../shared/http/messages/send.ts'),
);
