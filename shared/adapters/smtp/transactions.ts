import { OutgoingText } from '../outgoing-text.ts';
import type { FrozenMail, Receipt, SendOptions, Trouble } from '../transport.ts';
import { cutTrouble } from '../trouble.ts';
import { notOffered, type Result, receiptOf, resultOf, type TransactionResult } from './receipt.ts';
import type { RecipientLimit } from './recipient-limit.ts';
import { refusesSignIn } from './reply.ts';
import type { SmtpSession, Transaction } from './session.ts';
import type { SmtpEnvelope } from './smtp-envelope.ts';

/** A mail that is ready for one session. */
export interface ReadyMail {
  readonly mail: FrozenMail;
  readonly envelope: SmtpEnvelope;
  readonly smtpUtf8: boolean;
}

/** The result of offering a mail on one session. */
export interface Offered {
  /** Undefined: the session had gone stale while it was idle, and nothing of the mail was taken. */
  readonly receipt: Receipt | undefined;
  /** How the last transaction ended. */
  readonly end: Transaction['end'];
}

/**
 * Offers a mail in as many transactions as the server's number of recipients asks for: what is beyond it follows at once
 * (RFC 5321 section 4.5.3.1.10). `reused`: the session was idle before. Never rejects.
 */
export async function offerMail(
  session: SmtpSession,
  { mail, envelope, smtpUtf8 }: ReadyMail,
  limit: RecipientLimit,
  { options, reused }: { readonly options: SendOptions; readonly reused: boolean },
): Promise<Offered> {
  const { signal } = options;
  const results = new Map<string, Result>();
  const waiting = [...envelope.to];
  let trouble: Trouble | undefined;
  for (let first = true; ; first = false) {
    const to = waiting.splice(0, limit.current);
    const outgoing = new OutgoingText(mail, () => options.beforeCommit(), signal);
    const { dsn } = mail.envelope;
    const transaction = await session.send(
      { from: envelope.from, to, dsn, smtpUtf8, size: mail.size, outgoing },
      signal,
    );
    const { end } = transaction;
    if (first && reused && !outgoing.opened && !signal.aborted && isStale(end)) return { receipt: undefined, end };
    const result = resultOf(to, transaction, outgoing);
    for (const [address, each] of result.results) results.set(address, each);
    trouble = result.trouble ?? trouble;
    learnLimit(limit, to, result, end);
    waiting.unshift(...result.tooMany);
    if (waiting.length > 0 && (await mayGoOn(session, end, result, signal))) continue;
    const stopped = waiting.length > 0 ? (trouble ?? stopOf(signal)) : trouble;
    for (const address of waiting) results.set(address, notOffered(end, stopped));
    return { receipt: receiptOf(mail, envelope, results, stopped), end };
  }
}

function learnLimit(
  limit: RecipientLimit,
  to: readonly string[],
  { tooMany }: TransactionResult,
  end: Transaction['end'],
): void {
  const [firstBeyond] = tooMany;
  if (firstBeyond === undefined) return;
  // Refused as a whole, nobody knows the number; half as many may do.
  limit.learn(end.kind === 'accepted' ? to.indexOf(firstBeyond) : Math.floor(to.length / 2));
}

/** Whether another transaction makes sense on this session now. */
async function mayGoOn(
  session: SmtpSession,
  end: Transaction['end'],
  { tooMany, trouble }: TransactionResult,
  signal: AbortSignal,
): Promise<boolean> {
  if (signal.aborted || !session.alive) return false;
  if (end.kind === 'accepted') return true;
  // Each of these recipients was refused for itself: that says nothing about the others.
  const eachForItself = end.kind === 'refused' && end.step === 'rcpt' && trouble?.scope === 'message';
  return end.kind === 'refused' && (tooMany.length > 0 || eachForItself) && (await session.reset(signal));
}

/** Nothing went wrong with the mail itself: the time was over, or the connection, for those who are left. */
function stopOf(signal: AbortSignal): Trouble {
  if (signal.aborted) return cutTrouble(signal);
  const hint = 'The connection ended before the mail was offered for all recipients. The others are tried again.';
  return { scope: 'connection', code: 'ECONNECTION', hint };
}

/**
 * The connection was lost; or the server closed it (421), no longer knew where in the dialogue it was (503), or had
 * forgotten who signed in. All of them come of idling and mean nothing for the mail.
 */
function isStale(end: Transaction['end']): boolean {
  if (end.kind === 'lost') return true;
  if (end.kind !== 'refused') return false;
  return end.reply.code === 421 || (end.step === 'mail' && (end.reply.code === 503 || refusesSignIn(end.reply)));
}
