import { wholeText } from '../../mail-text.ts';
import { receiptForAll, textTroubles } from '../../receipts.ts';
import type { FrozenMail, Receipt, SendOptions } from '../../transport.ts';
import { graphPath, graphUrl } from '../addresses.ts';
import { GraphError } from '../graph-error.ts';
import type { SenderContext } from './drafts.ts';
import { mayHaveSent, uncertainReceipt } from './receipts.ts';
import { withRecipients } from './recipients-header.ts';
import { failure, maxText } from './send-draft.ts';

/**
 * Sends by `sendMail` with the MIME text (Microsoft Learn, "user: sendMail"): one request, and no way to find out about
 * a lost answer. Mail that Graph would change or cannot take this way is refused instead.
 */
export async function sendDirect(context: SenderContext, mail: FrozenMail, options: SendOptions): Promise<Receipt> {
  const { client, userId } = context;
  const { signal } = options;
  const from = mail.headerFrom.toLowerCase();
  if (userId.includes('@') && from !== userId.toLowerCase()) {
    return receiptForAll(mail, 'rejected', {
      scope: 'message',
      code: 'FROM_NEEDS_DRAFT',
      hint: 'Sent directly, this mail would carry the mailbox’s own address as From. Use sendMode draft, or the mailbox’s address.',
    });
  }
  if (mail.size > maxText) {
    return receiptForAll(mail, 'rejected', {
      scope: 'message',
      code: 'MAIL_TOO_LARGE',
      hint: 'Sent directly, Graph takes mail of at most 3 MB. Use sendMode draft.',
    });
  }
  let body: Buffer;
  try {
    const text = withRecipients(await wholeText(mail, signal), mail);
    body = Buffer.from(text.toString('base64'), 'latin1');
  } catch (error) {
    return failure(mail, error, signal);
  }
  let commit: Promise<void> | undefined;
  const beforeLast = () => {
    // A refused token makes the request go out twice, and the commit counts once.
    commit ??= options.beforeCommit().then(() => signal.throwIfAborted());
    return commit;
  };
  try {
    const url = graphUrl(client.place, graphPath('users', userId, 'sendMail'));
    await client.done({ method: 'POST', url, body, contentType: 'text/plain', signal, beforeLast });
    return receiptForAll(mail, 'accepted');
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    if (error.code === 'COMMIT_REFUSED' && !signal.aborted)
      return receiptForAll(mail, 'deferred', textTroubles.commitRefused);
    return mayHaveSent(error) ? uncertainReceipt(mail, error) : failure(mail, error, signal);
  }
}
