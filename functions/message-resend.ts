import { endpoint } from './app/endpoint.ts';

endpoint(
  'message-resend',
  { method: 'POST', route: 'messages/{id}/resend', role: 'Mailroom.Send' },
  () => import('../shared/http/messages/resend.ts'),
);
