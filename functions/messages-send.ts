import { endpoint } from './app/endpoint.ts';

endpoint(
  'messages-send',
  { method: 'POST', route: 'messages', role: 'Mailroom.Send' },
  () => import('../shared/http/messages/send.ts'),
);
