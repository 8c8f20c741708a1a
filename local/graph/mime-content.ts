import { type StoredAttachment, storeAttachment } from './attachment.ts';
import { decodedBody, decodedString, decodedText, type Entity, fieldValue, readEntity } from './mime-reader.ts';

export interface MailBody {
  readonly contentType: 'text' | 'html';
  readonly content: string;
}

/** What Exchange shows of a MIME message as properties. */
export interface MimeContent {
  readonly text: string | undefined;
  readonly html: string | undefined;
  readonly attachments: readonly StoredAttachment[];
  /** The method of a meeting's calendar part: such mail is an event message. */
  readonly meetingMethod: string | undefined;
}

/** Sorts the parts of a message into bodies and attachments. */
export function readMimeContent(bytes: Buffer): MimeContent {
  const found: { text?: string; html?: string; meetingMethod?: string } = {};
  const attachments: StoredAttachment[] = [];
  const visit = (part: Entity, place: 'alone' | 'alternative' | 'related' | 'mixed') => {
    if (part.children.length > 0) {
      const own = /^multipart\/(alternative|related)$/.exec(part.type)?.[1];
      for (const child of part.children) visit(child, own === 'alternative' || own === 'related' ? own : 'mixed');
      return;
    }
    const isAttached = part.disposition === 'attachment' || (part.fileName !== undefined && place !== 'alternative');
    if (part.type === 'text/calendar' && found.meetingMethod === undefined && part.parameters.method) {
      found.meetingMethod = part.parameters.method.toUpperCase();
      if (!isAttached) return;
    }
    if (!isAttached && part.type === 'text/plain' && found.text === undefined) {
      found.text = decodedString(bytes, part);
    } else if (!isAttached && part.type === 'text/html' && found.html === undefined) {
      found.html = decodedString(bytes, part);
    } else {
      attachments.push(attachmentOf(bytes, part, place === 'related'));
    }
  };
  visit(readEntity(bytes), 'alone');
  return {
    text: found.text,
    html: found.html,
    meetingMethod: found.meetingMethod,
    attachments,
  };
}

function attachmentOf(bytes: Buffer, part: Entity, isRelated: boolean): StoredAttachment {
  if (part.type === 'message/rfc822') {
    const mime = decodedBody(bytes, part);
    const subject = fieldValue(readEntity(mime).fields, 'subject');
    return storeAttachment({ kind: 'item', name: subject === undefined ? null : decodedText(subject), chunks: [mime] });
  }
  const content = decodedBody(bytes, part);
  const isInline = part.contentId !== undefined && (isRelated || part.disposition === 'inline');
  const stored = storeAttachment({
    name: part.fileName,
    contentType: part.type,
    contentId: part.contentId,
    isInline,
    chunks: [],
  });
  // Decoded again when asked for, so that the mail is not held twice.
  return { ...stored, size: content.length, chunks: () => [decodedBody(bytes, part)] };
}
