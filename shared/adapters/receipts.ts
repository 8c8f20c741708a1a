import type { TextFailure } from './mail-text.ts';
import type { FrozenMail, Receipt, RecipientOutcome, RecipientResult, Trouble } from './transport.ts';

/** The receipt of a mail that became the same for all its recipients; `trouble`: what stands in its way. */
export function receiptForAll(mail: FrozenMail, outcome: RecipientOutcome, trouble?: Trouble): Receipt {
  const result = resultWith(outcome, trouble);
  return {
    recipients: mail.envelope.to.map((address) => ({ address, ...result })),
    ...(trouble ? { trouble } : {}),
  };
}

/** What one recipient's result says where a trouble is the reason for it. */
export function resultWith(outcome: RecipientOutcome, trouble: Trouble | undefined): Omit<RecipientResult, 'address'> {
  const { code, reply } = trouble ?? {};
  return {
    outcome,
    ...(code === undefined ? {} : { code }),
    ...(reply === undefined ? {} : { reply }),
  };
}

/** The trouble of a mail whose stored text cannot be used, or whose commit point could not be written. */
export const textTroubles: Readonly<Record<TextFailure | 'commitRefused', Trouble>> = {
  unreadable: {
    scope: 'message',
    code: 'TEXT_UNREADABLE',
    hint: 'The stored text of the mail could not be read to its end. Nothing was sent; it is tried again.',
  },
  wrongSize: {
    scope: 'message',
    code: 'TEXT_SIZE',
    hint: 'The stored text of the mail does not have the size it was accepted with. Nothing was sent.',
  },
  changed: {
    scope: 'message',
    code: 'TEXT_SIZE',
    hint: 'The stored text of the mail changed while it was read. Nothing was sent.',
  },
  commitRefused: {
    scope: 'message',
    code: 'COMMIT_REFUSED',
    hint: 'That the mail is about to leave could not be noted down. Nothing was sent; it is tried again.',
  },
};
