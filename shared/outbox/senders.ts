import { domainToASCII } from 'node:url';
import { type Mailbox, needsSmtpUtf8, parseMailbox } from '../accounts/address.ts';
import type { Account } from '../accounts/rules.ts';
import type { Envelope } from '../adapters/transport.ts';
import { HttpProblem, type Mistake } from '../http/problem.ts';
import { defined } from './defined.ts';
import { maxRecipients } from './recipients.ts';

/** Throws HttpProblem 409 where the account cannot send at all. */
export function requireSending(account: Account): void {
  if (!account.enabled) throw new HttpProblem(409, 'The account is disabled.');
  if (account.transport === undefined) throw new HttpProblem(409, 'The account has no transport: it cannot send.');
}

/** `*` stands for any run of characters. Two pointers, so that no pattern can make it slow. */
function matchesPattern(pattern: string, text: string): boolean {
  let star = -1;
  let mark = 0;
  let at = 0;
  for (let index = 0; index < text.length; ) {
    if (pattern[at] === '*') {
      star = at++;
      mark = index;
    } else if (pattern[at] === text[index]) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++mark;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(at));
}

function split(address: string): readonly [string, string] {
  const at = address.lastIndexOf('@');
  return [address.slice(0, at), address.slice(at + 1)];
}

/** Patterns are typed by people: an internationalised domain is brought into the form addresses have here. */
function patternDomain(domain: string): string {
  const toAscii = (label: string) => (/^[\u0020-\u007e]*$/.test(label) ? label : domainToASCII(label));
  return domain.toLowerCase().split('.').map(toAscii).join('.');
}

/** Whether callers may send as `address`: the account's own, or one that `allowedFrom` names. Domains in any letter case. */
export function maySendAs(account: Account, address: string): boolean {
  if (address === parseMailbox(account.from).address) return true;
  const [local, domain] = split(address);
  return account.allowedFrom.some((pattern) => {
    const [localPattern, domainPattern] = split(pattern);
    return matchesPattern(localPattern, local) && matchesPattern(patternDomain(domainPattern), domain);
  });
}

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

/** What the account's mail asks to be told (RFC 3461) where the mail itself says nothing. */
export function defaultDsn({ transport }: Account): Envelope['dsn'] {
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
  dsn?: Envelope['dsn'],
): { readonly envelope: Envelope; readonly bcc: readonly string[] } {
  const shown = new Set([...parties.to, ...parties.cc].map(addressOf));
  const to = new Set([...shown, ...parties.bcc.map(addressOf)]);
  return {
    envelope: { from, to: [...to], ...(dsn === undefined ? {} : { dsn }) },
    bcc: [...to].filter((address) => !shown.has(address)),
  };
}
