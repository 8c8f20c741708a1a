import type { FrozenMail, Receipt, RecipientOutcome, TroubleScope } from '../transport.ts';
import type { GraphError } from './graph-error.ts';

/** What stands in the way of a mail, as a receipt tells it. */
export type Trouble = NonNullable<Receipt['trouble']>;

/** Graph tells no outcome per recipient: it takes a mail for all of them or for none. */
export function forAll(mail: FrozenMail, outcome: RecipientOutcome, trouble?: Trouble): Receipt {
  const { code, reply } = trouble ?? {};
  return {
    recipients: mail.envelope.to.map((address) => ({
      address,
      outcome,
      ...(code === undefined ? {} : { code }),
      ...(reply === undefined ? {} : { reply }),
    })),
    ...(trouble ? { trouble } : {}),
  };
}

type Verdict = readonly [outcome: 'rejected' | 'deferred', scope: TroubleScope, hint: string];

const accessHint =
  'Graph refuses the app. Grant it Mail.Send, and Mail.ReadWrite unless sendMode is direct, for this mailbox; a new grant may take two hours to hold.';
const mailboxHint = 'There is no such mailbox for Graph. Check userId, its licence, and that it is in Exchange Online.';
const tokenHint = 'Graph does not take the token. Check cloud, and GRAPH_ENDPOINT if set.';
const sizeHint = 'The mail is larger than the mailbox may send (35 MB unless its administrator allows more).';
const slowHint = 'Graph asks to slow down. limits.perMinute keeps below its limit.';
const troubleHint = 'Graph has trouble. It may pass.';

/** Codes decide before the status does: statuses of one code vary (design section 4.6). */
const verdicts: ReadonlyMap<string, Verdict> = new Map(
  (
    [
      [
        'ErrorSendAsDenied',
        ['rejected', 'message', 'The mailbox may not send as this From. Grant it SendAs, or use its own address.'],
      ],
      ['ErrorInvalidRecipients', ['rejected', 'message', 'Graph does not take a recipient. Check the addresses.']],
      ['ErrorMessageSizeExceeded', ['rejected', 'message', sizeHint]],
      ['RequestEntityTooLarge', ['rejected', 'message', sizeHint]],
      ['ErrorAttachmentSizeLimitExceeded', ['rejected', 'message', sizeHint]],
      ['ErrorAccessDenied', ['deferred', 'account', accessHint]],
      ['Authorization_RequestDenied', ['deferred', 'account', accessHint]],
      ['InvalidAuthenticationToken', ['deferred', 'account', tokenHint]],
      ['MailboxNotEnabledForRESTAPI', ['deferred', 'account', mailboxHint]],
      ['ErrorMailboxNotEnabledForRESTAPI', ['deferred', 'account', mailboxHint]],
      ['MailboxNotSupportedForRESTAPI', ['deferred', 'account', mailboxHint]],
      ['ErrorNonExistentMailbox', ['deferred', 'account', mailboxHint]],
      ['ErrorInvalidUser', ['deferred', 'account', mailboxHint]],
      ['ResourceNotFound', ['deferred', 'account', mailboxHint]],
      ['Request_ResourceNotFound', ['deferred', 'account', mailboxHint]],
      [
        'ErrorExceededMessageLimit',
        ['deferred', 'account', 'The mailbox has reached its daily limit of recipients. It may send again tomorrow.'],
      ],
      [
        'ErrorMessageSubmissionBlocked',
        ['deferred', 'account', 'Exchange blocks this sender for suspicious mail. An administrator has to release it.'],
      ],
      [
        'ErrorQuotaExceeded',
        ['deferred', 'account', 'The mailbox is full, and sent mail is kept in it. Free some space.'],
      ],
      ['ApplicationThrottled', ['deferred', 'throttled', slowHint]],
      ['TooManyRequests', ['deferred', 'throttled', slowHint]],
      ['ErrorItemNotFound', ['deferred', 'message', 'The draft was removed from the mailbox. A new one is made.']],
    ] as const
  ).map(([code, verdict]) => [code.toLowerCase(), verdict]),
);

function verdictOf(error: GraphError): Verdict {
  const hint = error.hint ?? troubleHint;
  switch (error.origin) {
    case 'network':
    case 'aborted':
    case 'nonsense':
      return ['deferred', 'connection', hint];
    case 'secret':
      return ['deferred', 'account', hint];
    case 'signIn':
      return ['deferred', error.status === 429 ? 'throttled' : error.temporary ? 'connection' : 'account', hint];
    case 'answer':
      break;
  }
  const known = verdicts.get(error.code.toLowerCase());
  if (known) return known;
  const { status = 0 } = error;
  if (status === 401) return ['deferred', 'account', tokenHint];
  if (status === 403) return ['deferred', 'account', accessHint];
  if (status === 413) return ['rejected', 'message', sizeHint];
  if (status === 429) return ['deferred', 'throttled', slowHint];
  if (status >= 500 || status === 408 || status === 409 || status === 423)
    return ['deferred', 'connection', troubleHint];
  return ['rejected', 'message', 'Graph refuses the mail. Its words say why.'];
}

/** Receipt of a mail that certainly was not sent. */
export function failedReceipt(mail: FrozenMail, error: GraphError): Receipt {
  const [outcome, scope, hint] = verdictOf(error);
  return forAll(mail, outcome, troubleOf(error, scope, hint));
}

/** Receipt of a mail that may have been sent. */
export function uncertainReceipt(mail: FrozenMail, error: GraphError): Receipt {
  const hint = 'Graph was told to send the mail and its answer was lost. Look into Sent Items before sending it again.';
  return forAll(mail, 'uncertain', troubleOf(error, 'connection', hint));
}

function troubleOf(error: GraphError, scope: TroubleScope, hint: string): Trouble {
  const support = error.requestId === undefined ? '' : ` (request-id ${error.requestId})`;
  return {
    scope,
    code: error.code,
    hint,
    ...(error.origin === 'answer' ? { reply: `${error.message}${support}`.slice(0, 300) } : {}),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  };
}

/** Whether a failed `/send` or `/sendMail` may have sent the mail all the same. */
export function mayHaveSent(error: GraphError): boolean {
  if (error.origin === 'answer') return (error.status ?? 0) >= 500 || error.status === 408;
  return (
    error.mayHaveArrived && (error.origin === 'network' || error.origin === 'aborted' || error.origin === 'nonsense')
  );
}

/** Receipt of a mail whose commit could not be noted down: its last bytes never left. */
export function commitRefusedReceipt(mail: FrozenMail): Receipt {
  return forAll(mail, 'deferred', {
    scope: 'message',
    code: 'COMMIT_REFUSED',
    hint: 'That the mail is about to leave could not be noted down. Nothing was sent; it is tried again.',
  });
}
