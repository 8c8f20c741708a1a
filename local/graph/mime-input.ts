import { Content, newMessageId, sameAddress } from './content.ts';
import { GraphRefusal } from './graph-error.ts';
import type { Mailbox } from './mailbox.ts';
import { editHeader } from './mime-edit.ts';
import { readEntity } from './mime-reader.ts';

/** Header fields that Exchange takes out or writes itself (seen in the field). */
const dropped = new Set(['auto-submitted', 'return-path', 'received', 'dkim-signature', 'delivered-to']);
/** x- headers that it knows and keeps. */
const keptExtensions = new Set(['x-priority', 'x-msmail-priority', 'x-auto-response-suppress']);

/**
 * A message that a client wrote as MIME, as the mailbox takes it: the sender is the mailbox whatever From says, and
 * x- headers go unless their name was used as a property before. Throws where it is no base64 or no message.
 */
export function readMime(body: Buffer, mailbox: Mailbox, now: number): Content {
  const text = body.toString('latin1').replace(/[\r\n]/g, '');
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
    throw new GraphRefusal(
      400,
      'ErrorMimeContentInvalidBase64String',
      'The MIME content is not a valid base64 string.',
    );
  }
  const handedIn = Buffer.from(text, 'base64');
  const { fields } = readEntity(handedIn);
  if (fields.length === 0) {
    throw new GraphRefusal(400, 'ErrorMimeContentInvalid', 'The MIME content is not a message.');
  }
  const mime = editHeader(handedIn, {
    drop: (name) =>
      dropped.has(name) || (name.startsWith('x-') && !keptExtensions.has(name) && !mailbox.registeredHeaders.has(name)),
  });
  const content = Content.fromMime(mime, now, handedIn);
  if (!sameAddress(content.fields.from, mailbox.owner)) {
    content.change({ from: mailbox.owner, sender: mailbox.owner });
  }
  if (!fields.some((field) => field.name.toLowerCase() === 'message-id')) {
    content.change({ messageId: content.fields.messageId });
  }
  if (mailbox.ownMessageIds) content.change({ messageId: newMessageId() });
  return content;
}
