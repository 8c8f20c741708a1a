import type { components } from '../../api/openapi.d.ts';
import { Pill } from '../../parts/pill.tsx';

export type Message = components['schemas']['Message'];
export type MessageStatus = Message['status'];

type Kind = 'good' | 'bad' | 'warn' | 'idle';

/** What became of a mail, in words, in the order in which it happens. */
const statuses: Readonly<Record<MessageStatus, { readonly name: string; readonly kind: Kind }>> = {
  scheduled: { name: 'scheduled', kind: 'idle' },
  queued: { name: 'waiting', kind: 'idle' },
  sending: { name: 'being sent', kind: 'idle' },
  sent: { name: 'sent', kind: 'good' },
  partiallySent: { name: 'sent to some', kind: 'warn' },
  failed: { name: 'failed', kind: 'bad' },
  canceled: { name: 'canceled', kind: 'idle' },
  uncertain: { name: 'uncertain', kind: 'warn' },
};

const isStatus = (text: string): text is MessageStatus => Object.hasOwn(statuses, text);

/** The status that an address asks for; undefined: there is none of that name. */
export const statusOf = (text: string): MessageStatus | undefined => (isStatus(text) ? text : undefined);

/** To choose one of them, or any. */
export const statusOptions = [
  { value: '', name: 'Any' },
  ...Object.entries(statuses).map(([value, { name }]) => ({ value, name })),
];

/** The mail may still be canceled, or changes by itself. */
export const isOpen = (status: MessageStatus): boolean => ['scheduled', 'queued', 'sending'].includes(status);

/** The status of a mail in words. */
export function StatusPill({ status }: { readonly status: MessageStatus }) {
  const { name, kind } = statuses[status];
  return <Pill kind={kind}>{name}</Pill>;
}

const recipientKinds: Readonly<Record<Message['recipients'][number]['status'], Kind>> = {
  pending: 'idle',
  accepted: 'good',
  rejected: 'bad',
  deferred: 'warn',
  uncertain: 'warn',
  bounced: 'bad',
};

/** What became of a mail for one recipient. */
export function RecipientPill({ status }: { readonly status: Message['recipients'][number]['status'] }) {
  return <Pill kind={recipientKinds[status]}>{status}</Pill>;
}
