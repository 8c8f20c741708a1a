import { receiptForAll } from '../../receipts.ts';
import type { FrozenMail, Receipt, Trouble, TroubleScope } from '../../transport.ts';
import type { GraphError } from '../graph-error.ts';

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
        ['deferred', 'account', 'The mailbox may not send as this From. Grant it SendAs, or use its own address.'],
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

/**
 * Receipt of a mail that was sent. `renamed`: the Message-ID that Exchange has put in place of the mail's own. It stands
 * in the reply, so that a bounce is recognised by it.
 */
export function acceptedReceipt(mail: FrozenMail, renamed: string | undefined): Receipt {
  const receipt = receiptForAll(mail, 'accepted');
  if (renamed === undefined) return receipt;
  const reply = `Exchange sends it as ${renamed}`;
  return { recipients: receipt.recipients.map((recipient) => ({ ...recipient, reply })) };
}

/** Receipt of a mail that certainly was not sent. */
export function failedReceipt(mail: FrozenMail, error: GraphError): Receipt {
  const [outcome, scope, hint] = verdictOf(error);
  return receiptForAll(mail, outcome, troubleOf(error, scope, hint));
}

/** Receipt of a mail that may have been sent. */
export function uncertainReceipt(mail: FrozenMail, error: GraphError): Receipt {
  const hint =
    'Graph was asked to send the mail, and its answer was lost. Look into Sent Items before sending it again.';
  return receiptForAll(mail, 'uncertain', troubleOf(error, 'connection', hint));
}

function troubleOf(error: GraphError, scope: TroubleScope, hint: string): Trouble {
  const support = error.requestId === undefined ? '' : ` (request-id ${error.requestId})`;
  const words = error.words === '' ? '' : `: ${error.words}`;
  return {
    scope,
    code: error.code,
    hint,
    ...(error.origin === 'answer' ? { reply: `${error.message}${words}${support}`.slice(0, 300) } : {}),
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
