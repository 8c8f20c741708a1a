import type { TextFailure } from './commit-gate.ts';
import type { FrozenMail, Receipt, RecipientResult } from './transport.ts';
import type { Trouble } from './trouble.ts';

/** Nothing was offered to the server: every recipient waits. */
export function allDeferred(mail: FrozenMail, trouble: Trouble): Receipt {
  return { recipients: mail.envelope.to.map((address) => deferred(address, trouble)), trouble };
}

/** A recipient who waits, with what stands in the way. */
export function deferred(address: string, trouble: Trouble): RecipientResult {
  return {
    address,
    outcome: 'deferred',
    ...(trouble.code === undefined ? {} : { code: trouble.code }),
    ...(trouble.reply === undefined ? {} : { reply: trouble.reply }),
  };
}

/** The trouble of a text that stopped before its end. */
export const textTroubles: Readonly<Record<TextFailure, Trouble>> = {
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
  commitRefused: {
    scope: 'message',
    code: 'COMMIT_REFUSED',
    hint: 'That the mail is about to leave could not be noted down. Nothing was sent; it is tried again.',
  },
};
