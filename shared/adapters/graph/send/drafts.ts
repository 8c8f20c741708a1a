import { z } from 'zod';
import { graphPath, graphUrl, odataText } from '../addresses.ts';
import type { GraphClient } from '../graph-client.ts';
import { GraphError } from '../graph-error.ts';
import { messageUrl } from '../mailbox.ts';
import { isGone } from '../store/store-errors.ts';

/** A mailbox as a sender sees it. */
export interface SenderContext {
  readonly client: GraphClient;
  readonly userId: string;
}

/** The extended property by which a draft is known to be that of one outbox message. */
const sendKeyProperty = 'String {5e5b0a3c-2f77-4d0e-9b43-1c9a6d5b7f10} Name MailroomSendKey';

const emailSchema = z.object({ emailAddress: z.object({ address: z.string().nullish() }).nullish() }).nullish();
const createdSchema = z.object({
  id: z.string().min(1).max(800),
  from: emailSchema,
  internetMessageId: z.string().nullish(),
});
const stateSchema = z.object({
  id: z.string().min(1).max(800),
  isDraft: z.boolean().nullish(),
  parentFolderId: z.string().nullish(),
  singleValueExtendedProperties: z.array(z.object({ value: z.string().nullish() })).nullish(),
});
const foundSchema = z.object({ value: z.array(stateSchema) });
const folderSchema = z.object({ id: z.string().min(1) });

/** A draft that Graph has made. */
export interface CreatedDraft {
  readonly id: string;
  /** The address that Graph put into From, where it said so. */
  readonly from: string | undefined;
  /** The Message-ID that it will leave under, where Graph said so. */
  readonly messageId: string | undefined;
}

/** Makes a draft of a MIME text (Microsoft Learn, "Create message", MIME format). Throws GraphError. */
export async function createDraft(
  { client, userId }: SenderContext,
  mime: Buffer,
  signal: AbortSignal,
): Promise<CreatedDraft> {
  const url = graphUrl(client.place, graphPath('users', userId, 'messages'));
  const body = Buffer.from(mime.toString('base64'), 'latin1');
  const created = await client.json({ method: 'POST', url, body, contentType: 'text/plain', signal }, createdSchema);
  return {
    id: created.id,
    from: created.from?.emailAddress?.address ?? undefined,
    messageId: created.internetMessageId ?? undefined,
  };
}

/** Marks a draft as that of a message, and sets the From that a MIME text cannot. */
export async function labelDraft(
  context: SenderContext,
  id: string,
  label: { readonly key: string; readonly from?: { readonly name: string; readonly address: string } | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { key, from } = label;
  await context.client.done({
    method: 'PATCH',
    url: messageUrl(context, id),
    body: {
      singleValueExtendedProperties: [{ id: sendKeyProperty, value: key }],
      ...(from
        ? { from: { emailAddress: { address: from.address, ...(from.name === '' ? {} : { name: from.name }) } } }
        : {}),
    },
    signal,
  });
}

/** A message that an earlier attempt left. */
export interface FoundMessage {
  readonly id: string;
  readonly sent: boolean;
  /** The outbox message that it is labelled as the draft of; undefined where it has no label. */
  readonly label: string | undefined;
}

/**
 * Messages that an earlier attempt left: by their label, or, where it ended before that, by their Message-ID. Two mails may
 * have the same Message-ID: a draft that is labelled as another's is left alone. Throws GraphError.
 */
export async function findEarlier(
  context: SenderContext,
  key: string,
  messageId: string,
  signal: AbortSignal,
): Promise<readonly FoundMessage[]> {
  const sent = await findSent(context, key, signal);
  if (sent.length > 0) return sent;
  const labeled = await find(context, 'drafts', labelFilter(key), signal);
  if (labeled.length > 0) return labeled;
  const sameId = await find(context, 'drafts', `internetMessageId eq ${odataText(messageId)}`, signal);
  return sameId.filter(({ label }) => label === undefined || label === key);
}

/** The copy in Sent Items. */
export async function findSent(
  context: SenderContext,
  key: string,
  signal: AbortSignal,
): Promise<readonly FoundMessage[]> {
  return (await find(context, 'sentitems', labelFilter(key), signal)).filter(({ sent }) => sent);
}

const labelFilter = (key: string) =>
  `singleValueExtendedProperties/Any(ep: ep/id eq ${odataText(sendKeyProperty)} and ep/value eq ${odataText(key)})`;

async function find(
  { client, userId }: SenderContext,
  folder: string,
  filter: string,
  signal: AbortSignal,
): Promise<readonly FoundMessage[]> {
  const url = graphUrl(client.place, graphPath('users', userId, 'mailFolders', folder, 'messages'), {
    $filter: filter,
    $select: 'id,isDraft,parentFolderId',
    $expand: `singleValueExtendedProperties($filter=id eq ${odataText(sendKeyProperty)})`,
  });
  const { value } = await client.json({ method: 'GET', url, signal }, foundSchema);
  return value.map(({ id, isDraft, singleValueExtendedProperties }) => ({
    id,
    sent: isDraft === false,
    label: singleValueExtendedProperties?.[0]?.value ?? undefined,
  }));
}

/** `waiting`: still a draft in Drafts; `underWay`: a draft that Exchange has taken elsewhere. */
export type DraftState = 'sent' | 'waiting' | 'underWay' | 'missing';

/** What became of a draft. Its immutable id stays that of the copy in Sent Items, and may be unknown in between. */
export async function draftState(context: SenderContext, id: string, signal: AbortSignal): Promise<DraftState> {
  const { client, userId } = context;
  let state: z.output<typeof stateSchema>;
  try {
    const url = messageUrl(context, id, [], { $select: 'id,isDraft,parentFolderId' });
    state = await client.json({ method: 'GET', url, signal }, stateSchema);
  } catch (error) {
    if (error instanceof GraphError && isGone(error)) return 'missing';
    throw error;
  }
  if (state.isDraft === false) return 'sent';
  const url = graphUrl(client.place, graphPath('users', userId, 'mailFolders', 'drafts'), { $select: 'id' });
  const drafts = await client.json({ method: 'GET', url, signal }, folderSchema);
  return state.isDraft === true && state.parentFolderId === drafts.id ? 'waiting' : 'underWay';
}

/** Sends a draft (202, empty). Throws GraphError; then nobody knows yet whether it was sent. */
export async function sendDraft(context: SenderContext, id: string, signal: AbortSignal): Promise<void> {
  await context.client.done({ method: 'POST', url: messageUrl(context, id, ['send']), signal });
}

/** Takes a draft away that will not be sent. Never throws: a draft left behind harms nobody. */
export async function dropDraft(context: SenderContext, id: string, signal: AbortSignal): Promise<void> {
  const { client } = context;
  try {
    await (client.place.permanentDelete
      ? client.done({ method: 'POST', url: messageUrl(context, id, ['permanentDelete']), signal })
      : client.done({ method: 'DELETE', url: messageUrl(context, id), signal }));
  } catch {
    // Nothing depends on it.
  }
}
