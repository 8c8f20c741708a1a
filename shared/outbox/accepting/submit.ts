import type { Account } from '../../accounts/rules.ts';
import { isAcquired } from '../../platform/acquired.ts';
import { composeMail } from '../composing/compose.ts';
import { newMessageId } from '../composing/message-ids.ts';
import type { PreparedMail } from '../composing/prepared-mail.ts';
import { freezeRaw } from '../composing/raw-message.ts';
import { requireSending } from '../composing/send-as.ts';
import type { OutboxContext } from '../context.ts';
import { type Waited, type WaitOptions, whileCallerWaits } from '../delivering/while-caller-waits.ts';
import type { MessageRecord } from '../record.ts';
import type { UploadPlace } from '../uploads/upload-places.ts';
import { findUploads } from '../uploads/uploads.ts';
import { type AcceptOptions, accept, mailOfKey } from './accept.ts';
import { IdempotencyLock } from './idempotency-lock.ts';
import { namedUploads } from './named-uploads.ts';
import { parseSendRequest } from './request.ts';

/** A mail as a caller hands it in: its fields, which are checked here, or ready-made MIME. */
export type MailInput =
  | { readonly kind: 'fields'; read(): Promise<unknown> }
  | { readonly kind: 'mime'; readonly bytes: AsyncIterable<Uint8Array> };

/** The caller's idempotency key. */
export interface CallerKey {
  readonly name: string;
  /** Hash of everything that makes two requests the same. Reads what is left of the mail first, and may be asked again. */
  requestHash(): Promise<string>;
}

/** What a caller hands in. */
export interface SubmitRequest {
  readonly mail: MailInput;
  readonly key?: CallerKey;
}

/**
 * A mail that a caller hands in, as fields or ready-made: checked, taken over, and, where the caller
 * waits, delivered at once. A key that was used names its mail also while the account cannot send. Throws Refusal; then
 * nothing is stored and no key is held.
 */
export async function submit(
  context: OutboxContext,
  account: Account,
  request: SubmitRequest,
  options: WaitOptions,
): Promise<Waited> {
  const incoming = { account, mail: request.mail, options };
  const record = request.key
    ? await acceptWithKey(context, incoming, request.key)
    : await acceptMail(context, incoming);
  return await whileCallerWaits(context, record, options);
}

interface Incoming {
  readonly account: Account;
  readonly mail: MailInput;
  readonly options: WaitOptions;
}

/** Locks the key while its request is accepted; a request that is refused, whatever the reason, gives it back. */
async function acceptWithKey(context: OutboxContext, incoming: Incoming, key: CallerKey): Promise<MessageRecord> {
  const { account, options } = incoming;
  const lock = await IdempotencyLock.acquire(context, account.name, key.name, options);
  if (!isAcquired(lock)) {
    const given = await key.requestHash();
    return await mailOfKey(context, account.name, { ...lock, given }, { signal: options.signal });
  }
  try {
    return await acceptMail(context, incoming, { name: key.name, lock, requestHash: () => key.requestHash() });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function acceptMail(
  context: OutboxContext,
  { account, mail, options: { signal, waitMs } }: Incoming,
  key?: AcceptOptions['key'],
): Promise<MessageRecord> {
  requireSending(account);
  await context.backlog.check(account.name);
  const prepared = await prepare(context, mail, account, signal);
  return await accept(context, account, prepared, {
    signal,
    deliverHere: waitMs !== undefined,
    ...(key ? { key } : {}),
  });
}

async function prepare(
  context: OutboxContext,
  mail: MailInput,
  account: Account,
  signal: AbortSignal,
): Promise<PreparedMail> {
  const now = context.clock.now();
  if (mail.kind === 'mime') {
    return await freezeRaw(mail.bytes, account, { now });
  }
  const value = await mail.read();
  const uploads = await findUploads(context, namedUploads(value), { signal });
  const parsed = parseSendRequest(value, account, { now, uploads });
  const {
    open,
    uploads: ids,
    ...composed
  } = composeMail(parsed, {
    messageId: newMessageId(parsed.from.address),
    date: new Date(now),
  });
  const places: UploadPlace[] = [];
  const files = ids.map((id) => uploads.get(id)).filter((upload) => upload !== undefined);
  return {
    ...composed,
    ...(parsed.metadata ? { metadata: parsed.metadata } : {}),
    content: open((place) => places.push(place)),
    uploads: { files, places },
  };
}
