import type { OutgoingText } from '../outgoing-text.ts';
import { resultWith, textTroubles } from '../receipts.ts';
import type { FrozenMail, Receipt, RecipientResult, Trouble } from '../transport.ts';
import { asksToSlowDown, refusesAccount, type SmtpReply, tooManyRecipients } from './reply.ts';
import { outcomeOf, replyTrouble, type Step } from './reply-trouble.ts';
import type { Transaction } from './session.ts';
import type { SmtpEnvelope, Unsendable } from './smtp-envelope.ts';

/** What became of one recipient. */
export type Result = Omit<RecipientResult, 'address'>;

/** The result of one transaction for the recipients it was offered for. */
export interface TransactionResult {
  readonly results: ReadonlyMap<string, Result>;
  /** Recipients beyond the number that the server takes at a time: they come again in another transaction. */
  readonly tooMany: readonly string[];
  readonly trouble?: Trouble;
}

function answered(step: Step, reply: SmtpReply): Result {
  return { outcome: outcomeOf(step, reply), code: String(reply.code), reply: reply.text };
}

/** The result of a transaction for `to` (addresses as SMTP carries them). */
export function resultOf(to: readonly string[], transaction: Transaction, outgoing: OutgoingText): TransactionResult {
  const { end } = transaction;
  const lost = end.kind === 'lost' ? lossOf(end.trouble, outgoing) : undefined;
  const tooMany = beyondLimit(to, transaction);
  const results = new Map<string, Result>();
  for (const address of to) {
    if (!tooMany.includes(address)) results.set(address, resultFor(address, transaction, outgoing, lost));
  }
  const trouble = lost ?? troubleOf(transaction, tooMany);
  return trouble ? { results, tooMany, trouble } : { results, tooMany };
}

/**
 * Those refused because of their number. They come again only where others were taken, or are not many any more: else
 * the server takes nobody, whatever it says.
 */
function beyondLimit(to: readonly string[], { end, accepted, refused }: Transaction): readonly string[] {
  if (end.kind === 'accepted') {
    return to.filter((address) => {
      const reply = refused.get(address);
      return reply !== undefined && tooManyRecipients(reply);
    });
  }
  const ofAll = end.kind === 'refused' && (end.step === 'data' || end.step === 'end') && tooManyRecipients(end.reply);
  return ofAll && to.length > 1 ? to.filter((address) => accepted.has(address)) : [];
}

/** What a recipient's own reply, else the end of the transaction, means for it. */
function resultFor(
  address: string,
  transaction: Transaction,
  outgoing: OutgoingText,
  lost: Trouble | undefined,
): Result {
  const { accepted, refused, end } = transaction;
  const own = refused.get(address);
  if (own) return answered('rcpt', own);
  switch (end.kind) {
    case 'accepted':
      // A reply to RCPT that is neither positive nor negative counts as no answer.
      return accepted.has(address) ? answered('end', end.reply) : { outcome: 'deferred', code: 'EPROTOCOL' };
    case 'refused':
      return answered(end.step, end.reply);
    case 'lost':
      return resultWith(outgoing.committed ? 'uncertain' : 'deferred', lost ?? end.trouble);
  }
}

function lossOf(trouble: Trouble, outgoing: OutgoingText): Trouble {
  if (outgoing.failure) return textTroubles[outgoing.failure];
  if (!outgoing.committed) return trouble;
  const hint =
    'The server took the whole mail and its answer was lost: it may have been delivered. Ask the recipient or the server’s log before sending it again.';
  return { ...trouble, scope: 'connection', hint };
}

function troubleOf({ end, accepted, refused }: Transaction, tooMany: readonly string[]): Trouble | undefined {
  if (end.kind === 'refused' && end.step !== 'rcpt' && tooMany.length === 0) return replyTrouble(end.step, end.reply);
  const refusals = [...refused].filter(([address]) => !tooMany.includes(address)).map(([, reply]) => reply);
  const ofAccount = refusals.find((reply) => refusesAccount('rcpt', reply));
  if (ofAccount) return replyTrouble('rcpt', ofAccount);
  // One mailbox that is slow is no call to slow down as long as others were taken.
  const throttled = accepted.size === 0 ? refusals.find(asksToSlowDown) : undefined;
  const refusal = throttled ?? refusals[0] ?? (end.kind === 'refused' && end.step === 'rcpt' ? end.reply : undefined);
  if (!refusal) return undefined;
  const trouble = replyTrouble('rcpt', refusal);
  return throttled || end.kind === 'refused' ? trouble : { ...trouble, scope: 'message' };
}

const unsendableHints: Readonly<Record<Unsendable['code'], string>> = {
  SMTPUTF8: 'The server takes ASCII only, in addresses and headers. Use ASCII, or a server that offers SMTPUTF8.',
  '8BITMIME': 'The server takes no 8-bit text. Encode the parts of the mail as quoted-printable or base64.',
  SIZE: 'Send less, or by a link.',
  INVALID_ADDRESS: 'SMTP cannot carry this address. Correct it.',
};

/** What is refused on this side, before the server is offered anything. */
function refusedHere(why: Unsendable): Result {
  return { outcome: 'rejected', code: why.code, reply: why.reason };
}

/** What a receipt says of a mail, or an address, that the server could not take. */
function unsendableTrouble(why: Unsendable): Trouble {
  return { scope: 'message', code: why.code, reply: why.reason, hint: why.hint ?? unsendableHints[why.code] };
}

/** The receipt of a whole mail that the server was not offered. */
export function refusedWhole(mail: FrozenMail, why: Unsendable): Receipt {
  const recipients = mail.envelope.to.map((address) => ({ address, ...refusedHere(why) }));
  return { recipients, trouble: unsendableTrouble(why) };
}

/** The receipt of a mail, by what became of each address of its SMTP envelope. */
export function receiptOf(
  mail: FrozenMail,
  envelope: SmtpEnvelope,
  results: ReadonlyMap<string, Result>,
  trouble: Trouble | undefined,
): Receipt {
  const recipients = mail.envelope.to.map((address, index): RecipientResult => {
    const sent = envelope.recipients[index];
    if (sent === undefined) throw new Error('an envelope lost a recipient');
    const result = typeof sent === 'string' ? results.get(sent) : refusedHere(sent);
    if (!result) throw new Error('a recipient was not offered');
    return { address, ...result };
  });
  const unsendable = envelope.recipients.find((recipient) => typeof recipient !== 'string');
  const all = trouble ?? (unsendable && unsendableTrouble(unsendable));
  return all ? { recipients, trouble: all } : { recipients };
}

/** For those whose turn did not come: what stopped the others. */
export function notOffered(end: Transaction['end'], trouble: Trouble | undefined): Result {
  if (end.kind === 'refused' && end.step === 'mail') return answered('mail', end.reply);
  return resultWith('deferred', trouble);
}
