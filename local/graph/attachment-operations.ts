import { z } from 'zod';
import { storeAttachment } from './attachment.ts';
import { attachmentJson, attachmentSelect, findAttachment } from './attachment-json.ts';
import { type Call, context, type Handler, itemOf } from './call.ts';
import { badQuery, badRequest, GraphRefusal, itemNotFound, malformedId } from './graph-error.ts';
import { isWellFormedId } from './ids.ts';
import { maxPostedAttachment, readAttachment } from './message-input.ts';
import { instant } from './message-json.ts';
import { noContent, ok } from './reply.ts';

/** Attachments of a message: listing, reading, adding, and sessions for large ones. */

/** What an upload session may bring (Microsoft Graph, "Attach large files to Outlook messages or events"). */
const maxAttachment = 150 * 1024 * 1024;
/**
 * Below 3 MB a session is refused. Whether a megabyte is 1,000,000 or 1,048,576 bytes there is not said; between the
 * two both ways are open here.
 */
const minSession = 3_000_000;

const list: Handler = (call) => {
  const item = itemOf(call);
  const { query } = call;
  for (const name of ['$expand', '$filter', '$orderby', '$top', '$skip']) {
    if (query.has(name)) throw badQuery(`${name} is not offered for attachments here.`);
  }
  const view = { select: attachmentSelect(query.get('$select')), immutableIds: call.prefer.immutableIds };
  const { attachments } = item.content;
  return ok({
    '@odata.context': context(call, `messages('${item.id(view.immutableIds)}')/attachments`),
    ...(query.get('$count') === 'true' ? { '@odata.count': attachments.length } : {}),
    value: attachments.map((one) => attachmentJson(item, one, view)),
  });
};

const get: Handler = (call) => {
  const item = itemOf(call);
  const view = { select: attachmentSelect(call.query.get('$select')), immutableIds: call.prefer.immutableIds };
  const found = attachmentOf(call);
  return ok({
    '@odata.context': context(call, `messages('${item.id(view.immutableIds)}')/attachments/$entity`),
    ...attachmentJson(item, found, view),
  });
};

const getContent: Handler = (call) => {
  const found = attachmentOf(call);
  if (found.kind === 'reference') {
    throw new GraphRefusal(405, 'ErrorInvalidRequest', 'A reference attachment has no content.');
  }
  const mediaType = found.kind === 'item' ? 'text/plain' : (found.contentType ?? 'application/octet-stream');
  return { status: 200, pieces: found.chunks(), mediaType };
};

const remove: Handler = (call) => {
  const item = itemOf(call);
  item.content.remove(attachmentOf(call).tail);
  call.mailbox.changed(item, ['hasAttachments']);
  return noContent;
};

const add: Handler = (call) => {
  const item = itemOf(call);
  const stored = storeAttachment(readAttachment(call.json));
  item.content.add(stored);
  call.mailbox.changed(item, ['hasAttachments']);
  return {
    status: 201,
    json: {
      '@odata.context': context(call, 'messages/attachments/$entity'),
      ...attachmentJson(item, stored, { select: undefined, immutableIds: call.prefer.immutableIds }),
    },
  };
};

const sessionSchema = z.object({
  AttachmentItem: z.looseObject({
    attachmentType: z.enum(['file', 'item', 'reference']).nullish(),
    name: z.string().nullish(),
    size: z.number().nullish(),
    contentType: z.string().nullish(),
    contentId: z.string().nullish(),
    isInline: z.boolean().nullish(),
  }),
});

const createSession: Handler = (call) => {
  const item = itemOf(call);
  const { AttachmentItem: wanted } = sessionSchema.parse(call.json);
  const { size, name } = wanted;
  if (wanted.attachmentType !== 'file') throw badRequest('Only files can be uploaded in a session.');
  if (!name || size === undefined || size === null) throw badRequest('An upload needs a name and a size.');
  if (size < minSession) {
    throw new GraphRefusal(
      400,
      'ErrorAttachmentSizeShouldNotBeLessThanMinimumSize',
      `An upload session is for attachments from 3 MB; smaller ones are posted (up to ${maxPostedAttachment} bytes).`,
    );
  }
  if (size > maxAttachment) {
    throw new GraphRefusal(400, 'ErrorAttachmentSizeLimitExceeded', 'The attachment is larger than 150 MB.');
  }
  const session = call.service.uploads.open({
    mailbox: call.mailbox,
    item,
    name,
    size,
    contentType: wanted.contentType ?? undefined,
    contentId: wanted.contentId ?? undefined,
    isInline: wanted.isInline ?? false,
  });
  return {
    status: 201,
    json: {
      '@odata.context': `${call.origin}/v1.0/$metadata#microsoft.graph.uploadSession`,
      uploadUrl: session.url,
      expirationDateTime: instant(session.expiresAt),
      nextExpectedRanges: ['0-'],
    },
  };
};

export const attachmentOperations: Readonly<Record<string, Handler>> = {
  'user.message.ListAttachments': list,
  'user.message.GetAttachment': get,
  'user.message.GetAttachmentContent': getContent,
  'user.message.DeleteAttachment': remove,
  'user.message.CreateAttachment': add,
  'user.message.attachment.createUploadSession': createSession,
};

function attachmentOf(call: Call) {
  const id = call.parameters['attachment-id'] ?? '';
  const found = findAttachment(itemOf(call), id);
  if (found) return found;
  throw isWellFormedId(id) ? itemNotFound() : malformedId();
}
