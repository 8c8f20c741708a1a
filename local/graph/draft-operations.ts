import { z } from 'zod';
import { applyInput } from './apply-input.ts';
import { type Call, faultOf, type Handler, itemOf, wholeView } from './call.ts';
import { Content } from './content.ts';
import { badRequest, GraphRefusal } from './graph-error.ts';
import type { Item } from './item.ts';
import { readMessage } from './message-input.ts';
import { whole } from './message-operations.ts';
import { readMime } from './mime-input.ts';
import { accepted } from './reply.ts';

/** Making drafts and sending. */

const createDraft: Handler = (call) => {
  const item = makeDraft(call, call.json);
  const reply = whole(call, item, 201);
  const id = item.id(wholeView(call).immutableIds);
  const location = `${call.origin}/v1.0/users('${call.mailbox.userId}')/messages('${encodeURIComponent(id)}')`;
  return { ...reply, headers: { location } };
};

const replaceMime: Handler = (call) => {
  const item = itemOf(call);
  if (!item.isDraft) throw notADraft();
  if (!call.mime) throw badRequest('The MIME is missing.');
  const { mailbox, service } = call;
  // A draft with other content is another object here, and the same one to everybody outside.
  item.content.become(readMime(call.mime, mailbox, service.now()));
  mailbox.changed(item, ['subject', 'body', 'from', 'toRecipients']);
  return whole(call, item, 200);
};

const send: Handler = (call) => {
  const item = itemOf(call);
  if (!item.isDraft) throw notADraft();
  sendItem(call, item, 'send');
  return accepted;
};

const sendMailSchema = z.object({ message: z.unknown(), saveToSentItems: z.boolean().nullish() });

const sendMail: Handler = (call) => {
  const input = call.mime ? { message: undefined, saveToSentItems: true } : sendMailSchema.parse(call.json);
  if (input.saveToSentItems === false) {
    const content = makeContent(call, input.message);
    const size = call.service.transport.prepare(call.mailbox, content);
    call.service.transport.submit(call.mailbox, content, { via: 'sendMail', size });
    return accepted;
  }
  const item = makeDraft(call, input.message);
  try {
    sendItem(call, item, 'sendMail');
  } catch (error) {
    // What cannot be sent leaves no draft behind: nobody knows its id.
    call.mailbox.purge(item);
    throw error;
  }
  return accepted;
};

export const draftOperations: Readonly<Record<string, Handler>> = {
  'user.CreateMessage': createDraft,
  'user.SetMessageContent': replaceMime,
  'user.message.send': send,
  'user.sendMail': sendMail,
};

function makeContent(call: Call, json: unknown): Content {
  const { mailbox, service } = call;
  if (call.mime) return readMime(call.mime, mailbox, service.now());
  const input = readMessage(json, 'create');
  const content = Content.fromProperties(
    { sentAt: service.now(), from: mailbox.owner, sender: input.fields.from ?? mailbox.owner, ...input.fields },
    input.body ?? { contentType: 'text', content: '' },
    input.attachments,
  );
  return content;
}

function makeDraft(call: Call, json: unknown): Item {
  const { mailbox } = call;
  const content = makeContent(call, json);
  const item = mailbox.put(mailbox.wellKnown('drafts'), content, { isDraft: true, isRead: true });
  if (!call.mime) {
    const { fields: _, body: __, attachments: ___, ...rest } = readMessage(json, 'create');
    try {
      applyInput(item, { ...rest, fields: {}, attachments: [] });
    } catch (error) {
      mailbox.purge(item);
      throw error;
    }
  }
  return item;
}

function sendItem(call: Call, item: Item, via: 'send' | 'sendMail'): void {
  const { mailbox, service } = call;
  const size = service.transport.prepare(mailbox, item.content);
  item.isDraft = false;
  item.isRead = true;
  item.receivedAt = Math.floor(service.now() / 1000) * 1000;
  const late = faultOf(call, 'lateSent');
  if (late) {
    mailbox.move(item, mailbox.delayedMail.folder);
    mailbox.delayedMail.delay(item, late);
  } else {
    mailbox.move(item, mailbox.wellKnown('sentitems'));
  }
  service.transport.submit(mailbox, item.content, { via, immutableId: item.immutableId, size });
}

/** The code that Graph gives for it is not documented; a client must not get here. */
function notADraft(): GraphRefusal {
  return new GraphRefusal(400, 'ErrorInvalidRequest', 'The message is not a draft.');
}
