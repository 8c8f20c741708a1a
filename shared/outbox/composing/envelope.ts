import { type Mailbox, needsSmtpUtf8, parseMailbox } from '../../accounts/address.ts';
import type { Dsn } from '../../accounts/dsn.ts';
import type { Account } from '../../accounts/rules.ts';
import type { Envelope } from '../../adapters/transport.ts';
import { defined } from '../../platform/defined.ts';
import type { Mistake } from '../../platform/refusal.ts';
import { maxRecipients } from './recipients.ts';
import { maySendAs } from './send-as.ts';

/** Everybody a mail is from and for. */
export interface Parties {
  readonly from: Mailbox;
  readonly sender?: Mailbox;
  readonly replyTo: readonly Mailbox[];
  readonly to: readonly Mailbox[];
  readonly cc: readonly Mailbox[];
  readonly bcc: readonly Mailbox[];
}

const notAllowed = 'is not an address this account may send as (see allowedFrom)';

/** What is wrong with senders and recipients taken together. Undefined fields had mistakes of their own. */
export function partyMistakes(account: Account, parties: Partial<Parties>): readonly Mistake[] {
  const mistakes: Mistake[] = [];
  const { from, sender, to, cc, bcc, replyTo } = parties;
  if (from && !maySendAs(account, from.address)) mistakes.push({ pointer: '/from', detail: notAllowed });
  if (sender && sender.address !== envelopeFrom(account, undefined) && !maySendAs(account, sender.address))
    mistakes.push({ pointer: '/sender', detail: notAllowed });
  const count = (to?.length ?? 0) + (cc?.length ?? 0) + (bcc?.length ?? 0);
  if (count > maxRecipients)
    mistakes.push({ pointer: '/to', detail: `to, cc and bcc must name at most ${maxRecipients} recipients` });
  if (!from || !to || !cc || !bcc || !replyTo) return mistakes;
  if (count === 0) mistakes.push({ pointer: '/to', detail: 'to, cc or bcc must name a recipient' });
  // SMTPUTF8 is asked for when the envelope needs it; a header alone must not (RFC 6531 section 3.1).
  const envelope = [envelopeFrom(account, sender), ...[...to, ...cc, ...bcc].map(addressOf)];
  if (!envelope.some(needsSmtpUtf8)) {
    const detail = 'has a part before the @ that is not ASCII, which only mail to such addresses can carry';
    if (needsSmtpUtf8(from.address)) mistakes.push({ pointer: '/from', detail });
    if (replyTo.some((each) => needsSmtpUtf8(each.address))) mistakes.push({ pointer: '/replyTo', detail });
  }
  return mistakes;
}

/** The sender of the envelope: the mail's sender if it names one, else the account's `sender`, else its `from`. */
export function envelopeFrom(account: Account, sender: Mailbox | undefined): string {
  return (sender ?? parseMailbox(account.sender ?? account.from)).address;
}

/** The delivery status notifications (RFC 3461) that the account asks for where the mail itself says nothing. */
export function defaultDsn({ transport }: Account): Dsn | undefined {
  return transport?.protocol === 'smtp' || transport?.protocol === 'smtps'
    ? transport.dsn && defined(transport.dsn)
    : undefined;
}

function addressOf(mailbox: Mailbox): string {
  return mailbox.address;
}

/** `from` as MAIL FROM; everybody once, in the order To, Cc, Bcc; `bcc` are those no header names. */
export function envelopeOf(
  from: string,
  parties: Pick<Parties, 'to' | 'cc' | 'bcc'>,
  dsn?: Dsn,
): { readonly envelope: Envelope; readonly bcc: readonly string[] } {
  const shown = new Set([...parties.to, ...parties.cc].map(addressOf));
  const to = new Set([...shown, ...parties.bcc.map(addressOf)]);
  return {
    envelope: { from, to: [...to], ...(dsn === undefined ? {} : { dsn }) },
    bcc: [...to].filter((address) => !shown.has(address)),
  };
}
