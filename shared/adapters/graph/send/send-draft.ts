import { sleep } from '../../../platform/clock.ts';
import { TextUnusable, wholeText } from '../../mail-text.ts';
import { receiptForAll, textTroubles } from '../../receipts.ts';
import type { FrozenMail, Receipt, SendOptions } from '../../transport.ts';
import { cutTrouble } from '../../trouble.ts';
import { GraphError } from '../graph-error.ts';
import type { SilenceLimits } from '../http-exchange.ts';
import { attachParts } from './attach.ts';
import { type DetachedPart, divideMail, MailTooLarge, tooLargeTrouble } from './detach.ts';
import {
  type CreatedDraft,
  createDraft,
  draftState,
  dropDraft,
  findEarlier,
  findSent,
  labelDraft,
  type SenderContext,
  sendDraft,
} from './drafts.ts';
import { maxRenamed, noteText, readNote } from './earlier-attempt.ts';
import { acceptedReceipt, failedReceipt, mayHaveSent, uncertainReceipt } from './receipts.ts';
import { type HeaderPeople, headerLength, peopleOf, withRecipients } from './recipients-header.ts';

/** The mailbox that drafts are made in, and how mail is sent from it. */
export interface DraftSender extends SenderContext {
  readonly identity: string;
  readonly limits: SilenceLimits;
}

/**
 * Longest MIME text in one request: in base64 it stays below the 4 MB (4,194,304 bytes) of a request, with some room
 * (Microsoft Learn, "Create message").
 */
export const maxText = 3_080_000;

/** Room for header fields that are added to a text. */
const headerRoom = 64 << 10;

/** Looks at a draft whose `/send` got no answer: at once, and after this; what is left takes its time. */
const secondLookMs = 1_500;

/** The commit could not be noted: nothing may leave. */
class CommitRefused extends Error {}

interface Ready {
  readonly draft: string;
  /** The Message-ID that Exchange has put in place of the mail's own, where it has. */
  readonly renamed?: string | undefined;
}

/**
 * Sends by a draft: makes it, labels it, and sends it by its id, so that whatever gets lost on the way can be found out
 * later (design section 4.5). Answers a receipt; throws only for a bug.
 */
export async function sendAsDraft(context: DraftSender, mail: FrozenMail, options: SendOptions): Promise<Receipt> {
  let ready: Ready | 'sent';
  try {
    ready = await prepare(context, mail, options);
    if (ready === 'sent') return receiptForAll(mail, 'accepted');
    await guarded(() => options.beforeCommit());
    options.signal.throwIfAborted();
  } catch (error) {
    return notSent(mail, error, options.signal);
  }
  try {
    await sendDraft(context, ready.draft, options.signal);
    return acceptedReceipt(mail, ready.renamed);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    if (mayHaveSent(error)) return await lookAfterLoss(context, mail, { ...ready, error }, options.signal);
    const found = await receiptOfOther(context, mail, { ...ready, error }, options.signal);
    if (found) return found;
    const receipt = failedReceipt(mail, error);
    // A mail that waits for a right may wait for days: its draft would stand among the owner's own.
    if (error.is('ErrorSendAsDenied') || receipt.recipients.some(({ outcome }) => outcome === 'rejected')) {
      await dropDraft(context, ready.draft, options.signal);
    }
    return receipt;
  }
}

/** Refusals that say nothing about the draft. */
const aboutAccount: readonly (number | undefined)[] = [401, 403, 429];

/**
 * A refused `/send` of a draft that was sent already: by another process, while this one stood still. Undefined where
 * the draft is still there, so that the refusal is meant.
 */
async function receiptOfOther(
  context: DraftSender,
  mail: FrozenMail,
  refused: Ready & { readonly error: GraphError },
  signal: AbortSignal,
): Promise<Receipt | undefined> {
  const { draft, renamed, error } = refused;
  if (error.origin !== 'answer' || aboutAccount.includes(error.status)) return undefined;
  try {
    const state = await draftState(context, draft, signal);
    if (state === 'waiting') return undefined;
    return state === 'sent' ? acceptedReceipt(mail, renamed) : uncertainReceipt(mail, error);
  } catch {
    return undefined;
  }
}

/** What became of a mail whose commit point is a minute or more ago; undefined while that cannot be known. */
export async function resolveUncertainDraft(
  context: DraftSender,
  mail: FrozenMail,
  options: Omit<SendOptions, 'beforeCommit'>,
): Promise<Receipt | undefined> {
  const note = readNote(options.remembered, context.identity);
  if (note?.state !== 'made') return undefined;
  try {
    const state = await draftState(context, note.draft, options.signal);
    if (state === 'sent') return acceptedReceipt(mail, note.renamed);
    if (state === 'waiting') {
      return receiptForAll(mail, 'deferred', {
        scope: 'connection',
        code: 'NOT_SENT',
        hint: 'Graph did not send the draft, which is still in Drafts. It is sent again.',
      });
    }
    const sent = await findSent(context, mail.id, options.signal);
    return sent.length > 0 ? acceptedReceipt(mail, note.renamed) : undefined;
  } catch (error) {
    if (error instanceof GraphError) return undefined;
    throw error;
  }
}

/** Everything before the commit: a draft that only has to be sent. */
async function prepare(context: DraftSender, mail: FrozenMail, options: SendOptions): Promise<Ready | 'sent'> {
  const { signal } = options;
  const note = readNote(options.remembered, context.identity);
  if (note?.state === 'made') {
    const state = await draftState(context, note.draft, signal);
    if (state === 'sent') return 'sent';
    // A draft that was moved out of Drafts is still that draft.
    if (state !== 'missing') return { draft: note.draft, renamed: note.renamed };
  }
  if (note) {
    const found = await findEarlier(context, mail.id, mail.messageId, signal);
    if (found.some(({ sent }) => sent)) return 'sent';
    const [first] = found;
    if (first && note.state === 'making' && note.kind === 'whole') {
      return await finish(context, { draft: first.id }, await labelOf(context, mail, undefined, signal), options);
    }
    // It may lack attachments.
    for (const { id } of found) await dropDraft(context, id, signal);
  }
  return await make(context, mail, options);
}

async function make(context: DraftSender, mail: FrozenMail, options: SendOptions): Promise<Ready> {
  const { signal } = options;
  if (mail.size + headerRoom <= maxText) {
    const text = withRecipients(await wholeText(mail, signal), mail);
    await note(context, options, 'whole');
    try {
      const created = await createDraft(context, text, signal);
      return await finish(context, readyOf(mail, created), labelFor(context, mail, peopleIn(text), created), options);
    } catch (error) {
      // Graph's limit may be a little lower than it says. Nothing was made.
      if (!(error instanceof GraphError) || error.status !== 413) throw error;
    }
  }
  const limit = Math.min(maxText, Math.floor(mail.size * 0.9)) - headerRoom;
  const { text, detached } = await divideMail(mail, Math.max(limit, headerRoom), signal);
  await note(context, options, 'parts');
  return await makeInParts(context, mail, { text: withRecipients(text, mail), detached }, options);
}

async function makeInParts(
  context: DraftSender,
  mail: FrozenMail,
  divided: { readonly text: Buffer; readonly detached: readonly DetachedPart[] },
  options: SendOptions,
): Promise<Ready> {
  const { signal } = options;
  const created = await createDraft(context, divided.text, signal);
  const label = labelFor(context, mail, peopleIn(divided.text), created);
  // First the label: an upload takes its time, and an attempt that dies in it should leave nothing behind.
  await labelDraft(context, created.id, label, signal);
  await attachParts(context, created.id, { mail, detached: divided.detached }, { signal, limits: context.limits });
  return await rememberDraft(context, readyOf(mail, created), options);
}

function readyOf({ messageId }: FrozenMail, created: CreatedDraft): Ready {
  const renamed = created.messageId;
  const isOther = renamed !== undefined && renamed !== messageId && renamed.length <= maxRenamed;
  return { draft: created.id, ...(isOther ? { renamed } : {}) };
}

type Label = Parameters<typeof labelDraft>[2];

async function finish(context: DraftSender, ready: Ready, label: Label, options: SendOptions): Promise<Ready> {
  await labelDraft(context, ready.draft, label, options.signal);
  return await rememberDraft(context, ready, options);
}

const peopleIn = (text: Buffer): HeaderPeople => peopleOf(text.subarray(0, headerLength(text)));

/** The label of a draft that an earlier attempt made. */
async function labelOf(
  context: DraftSender,
  mail: FrozenMail,
  created: CreatedDraft | undefined,
  signal: AbortSignal,
): Promise<Label> {
  return labelFor(context, mail, peopleIn(await wholeText(mail, signal)), created);
}

/** Graph passes over the From of a MIME text and puts the mailbox there: another sender is set on the draft. */
function labelFor(
  { userId }: DraftSender,
  mail: FrozenMail,
  people: HeaderPeople,
  created: CreatedDraft | undefined,
): Label {
  const wanted = mail.headerFrom.toLowerCase();
  const own = [userId.toLowerCase(), created?.from?.toLowerCase()];
  if (wanted === '' || own.includes(wanted)) return { key: mail.id };
  const name = people.from?.address.toLowerCase() === wanted ? people.from.name : '';
  return { key: mail.id, from: { name, address: mail.headerFrom } };
}

async function note(context: DraftSender, options: SendOptions, kind: 'whole' | 'parts'): Promise<void> {
  await guarded(() => options.remember(noteText({ graph: context.identity, state: 'making', kind })));
}

async function rememberDraft(context: DraftSender, ready: Ready, options: SendOptions): Promise<Ready> {
  await guarded(() => options.remember(noteText({ graph: context.identity, state: 'made', ...ready })));
  return ready;
}

async function guarded(write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch {
    throw new CommitRefused();
  }
}

/** Receipt of an attempt that ended before its commit point. */
function notSent(mail: FrozenMail, error: unknown, signal: AbortSignal): Receipt {
  if (error instanceof CommitRefused) return receiptForAll(mail, 'deferred', textTroubles.commitRefused);
  return failure(mail, error, signal);
}

/** Receipt of whatever went wrong while certainly nothing was sent. */
export function failure(mail: FrozenMail, error: unknown, signal: AbortSignal): Receipt {
  if (signal.aborted) return receiptForAll(mail, 'deferred', cutTrouble(signal));
  if (error instanceof TextUnusable) return receiptForAll(mail, 'deferred', textTroubles[error.failure]);
  if (error instanceof MailTooLarge) return receiptForAll(mail, 'rejected', tooLargeTrouble);
  if (error instanceof GraphError) return failedReceipt(mail, error);
  throw error;
}

async function lookAfterLoss(
  context: DraftSender,
  mail: FrozenMail,
  { draft, renamed, error }: Ready & { readonly error: GraphError },
  signal: AbortSignal,
): Promise<Receipt> {
  try {
    if ((await draftState(context, draft, signal)) === 'sent') return acceptedReceipt(mail, renamed);
    await sleep(secondLookMs, signal);
    if ((await draftState(context, draft, signal)) === 'sent') return acceptedReceipt(mail, renamed);
  } catch {
    // The server is away, or the time is over: `resolveUncertain` is asked later.
  }
  return uncertainReceipt(mail, error);
}
