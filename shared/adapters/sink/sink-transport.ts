import { mailText, TextUnusable } from '../mail-text.ts';
import { receiptForAll, resultWith, textTroubles } from '../receipts.ts';
import type {
  FrozenMail,
  MailTransport,
  Receipt,
  RecipientOutcome,
  RecipientResult,
  SendOptions,
  Trouble,
} from '../transport.ts';

/** Addresses of this domain behave as they are called (RFC 2606: nobody can have it). */
const domain = 'sink.invalid';

interface Behaviour {
  readonly outcome: RecipientOutcome;
  readonly trouble?: Trouble;
  /** The mail comes back at once. */
  readonly bounce?: NonNullable<RecipientResult['bounce']>;
}

const ordinary: Behaviour = { outcome: 'accepted' };

const behaviours: ReadonlyMap<string, Behaviour> = new Map([
  [
    'rejected',
    {
      outcome: 'rejected',
      trouble: { scope: 'message', code: '550', reply: '550 5.1.1 This address is always rejected' },
    },
  ],
  [
    'deferred',
    {
      outcome: 'deferred',
      trouble: { scope: 'message', code: '451', reply: '451 4.2.0 This address is always put off' },
    },
  ],
  [
    'uncertain',
    {
      outcome: 'uncertain',
      trouble: {
        scope: 'connection',
        hint: 'The answer for this address is always lost after the last bytes have left.',
      },
    },
  ],
  [
    'bounced',
    {
      outcome: 'accepted',
      bounce: { status: '5.1.1', diagnostic: '550 5.1.1 Mail to this address always comes back' },
    },
  ],
]);

function behaviourOf(address: string): Behaviour {
  const [local = '', ...rest] = address.toLowerCase().split('@');
  return (rest.join('@') === domain ? behaviours.get(local) : undefined) ?? ordinary;
}

const closedTrouble: Trouble = {
  scope: 'connection',
  code: 'CLOSED',
  hint: 'The transport was closed. It is tried again.',
};

const stoppedTrouble: Trouble = { scope: 'connection', hint: 'The attempt was stopped. It is tried again.' };

/**
 * Sends nothing: for the tests of integrators. What it would have sent is the mail as the outbox keeps it. Recipients
 * `rejected@`, `deferred@`, `uncertain@` and `bounced@sink.invalid` become what they are called, all others are accepted.
 */
export function createSinkTransport(): MailTransport {
  const closing = new AbortController();
  return {
    protocol: 'sink',
    async send(mail, options) {
      if (closing.signal.aborted) return receiptForAll(mail, 'deferred', closedTrouble);
      const signal = AbortSignal.any([options.signal, closing.signal]);
      return await take(mail, { ...options, signal }).catch((error) => {
        if (error instanceof TextUnusable && !signal.aborted)
          return receiptForAll(mail, 'deferred', textTroubles[error.failure]);
        if (signal.aborted)
          return receiptForAll(mail, 'deferred', closing.signal.aborted ? closedTrouble : stoppedTrouble);
        throw error;
      });
    },
    async verify() {
      const detail = 'Nothing is sent: mail of this account is kept in the outbox and goes nowhere.';
      return [{ step: 'permission', status: 'ok', ms: 0, detail }];
    },
    async close() {
      closing.abort(new Error('closed'));
    },
  };
}

/** Goes through the steps of a server that takes mail: recipients, text, commit point, answer. */
async function take(mail: FrozenMail, { signal, beforeCommit }: SendOptions): Promise<Receipt> {
  signal.throwIfAborted();
  const results = mail.envelope.to.map((address) => ({ address, ...behaviourOf(address) }));
  const troubled = results.find(({ trouble }) => trouble !== undefined);
  if (results.some(({ outcome }) => outcome === 'accepted' || outcome === 'uncertain')) {
    // Read as it would be sent: a text that is cut off is found here as anywhere.
    for await (const _ of mailText(mail, signal));
    try {
      await beforeCommit();
    } catch {
      return receiptForAll(mail, 'deferred', textTroubles.commitRefused);
    }
  }
  return {
    recipients: results.map(({ address, outcome, trouble, bounce }) => ({
      address,
      ...resultWith(outcome, trouble),
      ...(bounce ? { bounce } : {}),
    })),
    ...(troubled?.trouble ? { trouble: troubled.trouble } : {}),
  };
}
