import { z } from 'zod';
import { applyInput } from './apply-input.ts';
import { type Call, context, type Handler, itemOf, wholeView } from './call.ts';
import { badRequest, GraphRefusal } from './graph-error.ts';
import type { Item } from './item.ts';
import { readMessage } from './message-input.ts';
import { etag, messageExpansions, messageJson, messageProperties } from './message-json.ts';
import { parseExpand, parseSelect } from './odata-query.ts';
import { noContent, ok, type Reply } from './reply.ts';

/** GET, PATCH, DELETE, move, permanentDelete and MIME of one message. */

const getMessage: Handler = (call) => {
  const item = itemOf(call);
  const view = {
    ...wholeView(call),
    select: parseSelect(call.query.get('$select'), messageProperties),
    expand: parseExpand(call.query.get('$expand'), messageExpansions),
  };
  return ok({ '@odata.context': context(call, 'messages/$entity'), ...messageJson(item, view) });
};

const getMime: Handler = (call) => {
  const item = itemOf(call);
  if (item.corruption.value) {
    throw new GraphRefusal(500, 'ErrorMimeContentConversionFailed', 'The MIME content of this item could not be made.');
  }
  return { status: 200, pieces: item.mime(), mediaType: 'text/plain' };
};

const updateMessage: Handler = (call) => {
  const item = itemOf(call);
  checkMatch(call, item);
  const input = readMessage(call.json, item.isDraft ? 'updateDraft' : 'update');
  const changed = applyInput(item, input);
  if (changed.length > 0) call.mailbox.changed(item, changed);
  return whole(call, item, 200);
};

const deleteMessage: Handler = (call) => {
  const item = itemOf(call);
  checkMatch(call, item);
  const { mailbox, service } = call;
  const recoverable = mailbox.wellKnown('recoverableitemsdeletions');
  if (item.folder === recoverable) {
    throw new GraphRefusal(403, 'ErrorCannotDeleteObject', 'The item cannot be deleted.');
  }
  const isTrash = item.folder === mailbox.wellKnown('deleteditems');
  mailbox.move(item, isTrash ? recoverable : mailbox.wellKnown(service.deleteGoesTo));
  return noContent;
};

const permanentDelete: Handler = (call) => {
  if (!call.service.canPurge) throw badRequest("Resource not found for the segment 'permanentDelete'.");
  call.mailbox.purge(itemOf(call));
  return noContent;
};

const destinationSchema = z.object({ destinationId: z.string() });

const moveMessage: Handler = (call) => {
  const item = itemOf(call);
  const { destinationId } = destinationSchema.parse(call.json);
  call.mailbox.move(item, call.mailbox.folder(destinationId));
  return whole(call, item, 201);
};

export const messageOperations: Readonly<Record<string, Handler>> = {
  'user.GetMessage': getMessage,
  'user.GetMessageContent': getMime,
  'user.UpdateMessage': updateMessage,
  'user.DeleteMessage': deleteMessage,
  'user.message.permanentDelete': permanentDelete,
  'user.message.move': moveMessage,
};

/** The answer that shows a message whole. */
export function whole(call: Call, item: Item, status: 200 | 201): Reply {
  return {
    status,
    json: { '@odata.context': context(call, 'messages/$entity'), ...messageJson(item, wholeView(call)) },
  };
}

function checkMatch(call: Call, item: Item): void {
  if (call.ifMatch !== undefined && call.ifMatch !== '*' && call.ifMatch !== etag(item)) {
    throw new GraphRefusal(412, 'ErrorIrresolvableConflict', 'The change key is not that of the item as it is now.');
  }
}
