import type { TroubleScope } from '../transport.ts';
import type { Trouble } from '../trouble.ts';
import { asksToSlowDown, isPermanent, type SmtpReply } from './reply.ts';

/** Where in the dialogue a reply came: steps before MAIL concern the account, the others one mail. */
export type Step = 'greeting' | 'ehlo' | 'starttls' | 'auth' | 'mail' | 'rcpt' | 'data' | 'end';

const setUpHints = {
  greeting: 'The server turns this client away when it connects. Ask its operator whether this address may send.',
  ehlo: 'The server refuses the session before any mail. Ask its operator whether this address may send.',
  starttls: 'The server does not start TLS. Set tls.starttls to what it offers, or have its TLS repaired.',
  auth: 'The server refuses to sign in. Check user and secret of the account, and that SMTP sign-in is switched on for it.',
} as const;

const isSetUp = (step: Step): step is keyof typeof setUpHints => step in setUpHints;

function messageHint(step: Step, reply: SmtpReply): string {
  const { code, status = '' } = reply;
  if (!isPermanent(reply)) return 'The server asks to try again later; this happens by itself.';
  if (code === 530 || code === 538) {
    return 'The server wants a sign-in or TLS before it takes mail. Set auth and tls.starttls of the account.';
  }
  if (code === 552 || /^5\.(2\.3|3\.4)$/.test(status))
    return 'The mail is too large for the server. Send less, or by a link.';
  if (step === 'mail')
    return 'The server refuses the sender. Check the sender address and what the account may send as.';
  if (step === 'rcpt') {
    return /^5\.7\./.test(status) || /relay/i.test(reply.text)
      ? 'The server does not take mail for this recipient from here. Check relaying and sign-in of the account.'
      : 'The server does not know or want this recipient. Check the address.';
  }
  return 'The server refuses this mail for its content or by policy. Its words say why.';
}

function scopeOf(step: Step, reply: SmtpReply): TroubleScope {
  if (asksToSlowDown(reply)) return 'throttled';
  // 421: the server closes down, whatever was asked (RFC 5321 section 3.8).
  if (reply.code === 421) return 'connection';
  return isSetUp(step) ? 'account' : 'message';
}

/** The trouble that a refusing reply tells of: its class and its step decide (design section 4.6). */
export function replyTrouble(step: Step, reply: SmtpReply): Trouble {
  const scope = scopeOf(step, reply);
  const hint =
    scope === 'throttled'
      ? 'The server asks to slow down. Fewer connections, or limits.perMinute, keep below its limit.'
      : scope === 'connection'
        ? 'The server is closing down or busy. It may pass.'
        : isSetUp(step)
          ? setUpHints[step]
          : messageHint(step, reply);
  return { scope, code: String(reply.code), reply: reply.text, hint };
}
