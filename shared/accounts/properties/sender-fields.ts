import type { Mistake } from '../../http/problem.ts';
import { AddressError, parseMailbox } from '../address.ts';
import type { PropertySheet } from './property-sheet.ts';
import type { DeclaredEnds } from './protocols.ts';

/** From and the envelope sender, as fields of the account. */
export function mapSenders(
  sheet: PropertySheet,
  { transport, store }: DeclaredEnds,
  notes: Mistake[],
): Record<string, unknown> {
  const senderName = transport === 'smtp' || transport === 'smtps' ? `mail.${transport}.from` : undefined;
  const sender = senderName === undefined ? undefined : sheet.text(senderName);
  if (senderName !== undefined) {
    sheet.used(senderName, 'sender: the envelope sender');
    sheet.origin('/sender', senderName);
  }
  // What Jakarta Mail makes up of user and host is seldom an address that exists; one that is given is.
  const ends = [transport, store].filter((protocol) => protocol !== undefined && protocol !== 'graph');
  const sources = [
    ...(senderName === undefined ? [] : [senderName]),
    'user.id',
    ...ends.map((protocol) => `mail.${protocol}.user`),
    'mail.user',
  ];
  const fromName = sheet.has('mail.from') ? 'mail.from' : sources.find((name) => isAddress(sheet.text(name)));
  if (fromName === undefined) sheet.wrong('mail.from', 'is required: the address that mail is sent from', '/from');
  else if (fromName === 'mail.from') sheet.used(fromName, 'from');
  else {
    sheet.used(fromName, 'from, as mail.from is not given');
    notes.push({ pointer: '/from', detail: `mail.from is not given: the address of ${fromName} is taken` });
  }
  if (fromName !== undefined) sheet.origin('/from', fromName);
  return {
    ...(fromName === undefined ? {} : { from: sheet.text(fromName) }),
    ...(sender === undefined ? {} : { sender }),
  };
}

function isAddress(text: string | undefined): boolean {
  if (text === undefined) return false;
  try {
    parseMailbox(text);
    return true;
  } catch (error) {
    if (error instanceof AddressError) return false;
    throw error;
  }
}
