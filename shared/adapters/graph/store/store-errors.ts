import { StoreError, type StoreErrorKind } from '../../store.ts';
import { abortedError, internalError } from '../../store-troubles.ts';
import { GraphError } from '../graph-error.ts';

const permissionHint =
  'Graph refuses the app. Grant it Mail.ReadWrite (application) for this mailbox; a new grant may take two hours to hold.';
const mailboxHint = 'There is no such mailbox for Graph. Check userId, its licence, and that it is in Exchange Online.';

/** Codes of Graph and Exchange by whose trouble they are; they decide before the status does. */
const kindsByCode: ReadonlyMap<string, readonly [StoreErrorKind, string]> = new Map(
  (
    [
      [
        'InvalidAuthenticationToken',
        'signIn',
        'Graph does not take the token. Check cloud, and GRAPH_ENDPOINT if set.',
      ],
      ['ErrorAccessDenied', 'permission', permissionHint],
      ['Authorization_RequestDenied', 'permission', permissionHint],
      ['MailboxNotEnabledForRESTAPI', 'permission', mailboxHint],
      ['ErrorMailboxNotEnabledForRESTAPI', 'permission', mailboxHint],
      ['MailboxNotSupportedForRESTAPI', 'permission', mailboxHint],
      ['ErrorNonExistentMailbox', 'permission', mailboxHint],
      ['ErrorInvalidUser', 'permission', mailboxHint],
      ['ResourceNotFound', 'permission', mailboxHint],
      ['Request_ResourceNotFound', 'permission', mailboxHint],
      ['ErrorQuotaExceeded', 'permission', 'The mailbox is full. Free some space.'],
      ['ApplicationThrottled', 'throttled', 'Graph asks to slow down. Import less often.'],
      ['TooManyRequests', 'throttled', 'Graph asks to slow down. Import less often.'],
      ['ErrorFolderNotFound', 'folderMissing', 'The folder does not exist. Check its name in the mailbox.'],
      ['ErrorSyncFolderNotFound', 'folderMissing', 'The folder does not exist. Check its name in the mailbox.'],
    ] as const
  ).map(([code, kind, hint]) => [code.toLowerCase(), [kind, hint]]),
);

/**
 * Whether a delta link is no longer good: 410 whatever its code, or the codes that say so on any 4xx, in any letter
 * case (Microsoft Learn, "Use delta query to track changes", and what services were seen to answer).
 */
export function isResync(error: GraphError): boolean {
  if (error.origin !== 'answer' || error.status === undefined) return false;
  if (error.status === 410) return true;
  return error.status >= 400 && error.status < 500 && /syncstate|^resync/i.test(error.code);
}

/** Whether Graph failed at one item's content, which fails the whole page that holds it. */
export function isContentFailure(error: GraphError): boolean {
  return error.origin === 'answer' && /conversion|corrupt|CannotOpenFileAttachment/i.test(error.code);
}

/** The item is not in the mailbox any more. */
export function isGone(error: GraphError): boolean {
  if (error.is('ErrorItemNotFound')) return true;
  // Without a word of the mailbox being gone, or of a folder, 404 on an item is the item's.
  return error.status === 404 && !kindsByCode.has(error.code.toLowerCase());
}

function kindOf(error: GraphError): readonly [StoreErrorKind, string | undefined] {
  switch (error.origin) {
    case 'aborted':
    case 'network':
    case 'secret':
      return ['connection', error.hint];
    case 'signIn':
      if (error.status === 429) return ['throttled', error.hint];
      return [error.temporary ? 'connection' : 'signIn', error.hint];
    case 'nonsense':
      return [
        'protocol',
        error.hint ?? 'The answer makes no sense. If GRAPH_ENDPOINT is set, check what answers there.',
      ];
    case 'answer':
      break;
  }
  const known = kindsByCode.get(error.code.toLowerCase());
  if (known) return known;
  const { status = 0 } = error;
  if (isResync(error)) return ['resync', undefined];
  if (status === 401) return ['signIn', 'Graph does not take the token. Check cloud, and GRAPH_ENDPOINT if set.'];
  if (status === 403) return ['permission', permissionHint];
  if (status === 429) return ['throttled', 'Graph asks to slow down. Import less often.'];
  if (status >= 500 || status === 408 || status === 409 || status === 423) {
    return ['connection', 'Graph has trouble. It may pass.'];
  }
  return ['protocol', 'Graph refuses the request. Its code and request-id say more to Microsoft’s support.'];
}

/** The StoreError for whatever a session met. */
export function storeError(error: unknown, signal: AbortSignal): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof GraphError) {
    const [kind, hint] = kindOf(error);
    const support = error.requestId === undefined ? '' : ` (request-id ${error.requestId})`;
    return new StoreError(kind, `${error.message}${support}`, {
      code: error.code,
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
  if (signal.aborted) return abortedError(signal);
  return internalError(error);
}
