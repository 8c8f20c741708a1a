import { endpoint } from './endpoint.ts';

endpoint(
  'account-messages-send',
  { method: 'POST', route: 'accounts/{account}/messages', role: 'Mailroom.Send' },
  async (call) => {
    const { sendMessage } = await import('./send-message.ts');
    return await sendMessage(call, call.param('account'));
  },
);
