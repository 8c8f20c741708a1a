import { endpoint } from './endpoint.ts';

/** The account that sends where the path names none. */
const defaultAccount = 'corpus';

endpoint('messages-send', { method: 'POST', route: 'messages', role: 'Mailroom.Send' }, async (call) => {
  const { sendMessage } = await import('./send-message.ts');
  return await sendMessage(call, defaultAccount);
});
