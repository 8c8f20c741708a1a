import type { Trouble, TroubleScope } from '../transport.ts';
import { authHint, type SignInAttempt } from './auth-hints.ts';
import { asksToSlowDown, isPermanent, isPositive, refusesAccount, type SmtpReply, tooManyRecipients } from './reply.ts';

/** Where in the dialogue a reply came: steps before MAIL concern the account, the others one mail, with exceptions. */
export type Step = 'greeting' | 'ehlo' | 'starttls' | 'auth' | 'mail' | 'rcpt' | 'data' | 'end';

const setUpHints: Readonly<Partial<Record<Step, string>>> = {
  greeting: 'The server turns this client away when it connects. Ask its operator whether this address may send.',
  ehlo: 'The server refuses the session before any mail. Ask its operator whether this address may send.',
  starttls: 'The server does not start TLS. Set tls.starttls to what it offers, or have its TLS repaired.',
};

const isSetUp = (step: Step): boolean => step === 'auth' || step in setUpHints;

const signInHint = 'The server wants a sign-in or TLS before it takes mail. Set auth and tls.starttls of the account.';
const sendAsHint =
  'The account may not send as this sender. Grant it to its user on the server, or check the sender address.';

function messageHint(step: Step, reply: SmtpReply): string {
  const { code, status = '' } = reply;
  if (!isPermanent(reply)) return 'The server asks to try again later; this happens by itself.';
  if (status === '5.2.2') return 'The mailbox of the recipient is full. Only its owner can make room.';
  if (step === 'rcpt' && tooManyRecipients(reply)) return 'The server takes fewer recipients at a time. Send to fewer.';
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
  if (!isSetUp(step)) return refusesAccount(step, reply) ? 'account' : 'message';
  // A 4yz says that the server has trouble, such as a directory that is away (RFC 4954 section 6), not that it refuses.
  return isPermanent(reply) ? 'account' : 'connection';
}

function busyHint(step: Step, reply: SmtpReply): string {
  if (reply.code === 421) return 'The server is closing down or busy. It may pass.';
  if (step === 'auth') return 'The server cannot check the sign-in now; it does not refuse it. It may pass.';
  return setUpHints[step] ?? 'The server is busy. It may pass.';
}

function accountHint(step: Step, reply: SmtpReply, signIn: SignInAttempt | undefined): string {
  if (step === 'auth' && signIn) return authHint(reply, signIn);
  return setUpHints[step] ?? (reply.status === '5.7.60' ? sendAsHint : signInHint);
}

const slowDownHint = 'The server asks to slow down. Fewer connections, or limits.perMinute, keep below its limit.';

/**
 * The trouble behind a negative reply: its class and its step decide (design section 4.6). `signIn`: what a refused
 * AUTH tried.
 */
export function replyTrouble(step: Step, reply: SmtpReply, signIn?: SignInAttempt): Trouble {
  const scope = scopeOf(step, reply);
  const hints = {
    throttled: () => slowDownHint,
    connection: () => busyHint(step, reply),
    account: () => accountHint(step, reply, signIn),
    message: () => messageHint(step, reply),
    limit: () => slowDownHint,
  };
  return { scope, code: String(reply.code), reply: reply.text, hint: hints[scope]() };
}

/** What a reply to a command of a mail means for the recipients it is about. */
export function outcomeOf(step: Step, reply: SmtpReply): 'accepted' | 'rejected' | 'deferred' {
  if (isPositive(reply)) return 'accepted';
  // More recipients than the server takes at once: the same ones are taken in another mail.
  if (step === 'rcpt' && tooManyRecipients(reply)) return 'deferred';
  return isPermanent(reply) && scopeOf(step, reply) === 'message' ? 'rejected' : 'deferred';
}
