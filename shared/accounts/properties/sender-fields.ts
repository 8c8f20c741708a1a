import type { Mistake } from '../../platform/refusal.ts';
import { AddressError, parseMailbox } from '../address.ts';
import type { PropertyReader } from './property-reader.ts';
import type { DeclaredProtocols } from './protocols.ts';

/** From and the envelope sender, as fields of the account. */
export function mapSenders(
  reader: PropertyReader,
  { transport, store }: DeclaredProtocols,
  notes: Mistake[],
): Record<string, unknown> {
  const senderName = transport === 'smtp' || transport === 'smtps' ? `mail.${transport}.from` : undefined;
  const sender = senderName === undefined ? undefined : reader.text(senderName);
  if (senderName !== undefined) {
    reader.used(senderName, 'sender: the envelope sender');
    reader.origin('/sender', senderName);
  }
  // What Jakarta Mail makes up of user and host is seldom an address that exists; one that is given is.
  const servers = [transport, store].filter((protocol) => protocol !== undefined && protocol !== 'graph');
  const sources = [
    ...(senderName === undefined ? [] : [senderName]),
    'user.id',
    ...servers.map((protocol) => `mail.${protocol}.user`),
    'mail.user',
  ];
  const fromName = reader.has('mail.from') ? 'mail.from' : sources.find((name) => isAddress(reader.text(name)));
  if (fromName === undefined) reader.wrong('mail.from', 'is required: the address that mail is sent from', '/from');
  else if (fromName === 'mail.from') reader.used(fromName, 'from');
  else {
    reader.used(fromName, 'from, as mail.from is not given');
    notes.push({ pointer: '/from', detail: `mail.from is not given: the address of ${fromName} is taken` });
  }
  if (fromName !== undefined) reader.origin('/from', fromName);
  return {
    ...(fromName === undefined ? {} : { from: reader.text(fromName) }),
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
