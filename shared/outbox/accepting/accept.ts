import type { Account } from '../../accounts/rules.ts';
import type { Envelope } from '../../adapters/transport.ts';
import { toIso } from '../../platform/clock.ts';
import { newestFirstId } from '../../platform/ids.ts';
import { currentTraceId, errorText, log, msSince } from '../../platform/log.ts';
import { Refusal } from '../../platform/refusal.ts';
import { RowConflict, type RowWrite } from '../../platform/rows.ts';
import { uploadUnknown } from '../../platform/upload.ts';
import { acceptedCopy } from '../accepted-copy.ts';
import type { PreparedMail } from '../composing/prepared-mail.ts';
import type { OutboxContext } from '../context.ts';
import { indexWrites } from '../finding/write-index.ts';
import { idempotencyRowKey, mimePath, openKey, recordKey } from '../keys.ts';
import { type MessageRecord, recordColumns, recordId, recordOf } from '../record.ts';
import { heldBelow } from '../stored-mime.ts';
import { encodedSize } from '../uploads/base64-lines.ts';
import { freezeUploads, removeFrozenUploads, uploadsInText } from '../uploads/freeze-uploads.ts';
import { type IdempotencyLock, type UsedKey, usedKey } from './idempotency-lock.ts';

/** How a mail is accepted. */
export interface AcceptOptions {
  readonly signal: AbortSignal;
  /** Left out of the queue: the caller delivers at once itself. The recovery timer would still find it. */
  readonly deliverHere?: boolean;
  /** The caller's key, held. */
  readonly key?: {
    readonly name: string;
    readonly lock: IdempotencyLock;
    /** Asked for once the whole content has passed, since a hash over a streamed body is known only then. */
    readonly requestHash: () => Promise<string>;
  };
}

/** The recovery timer looks after a message that was accepted this long ago and that nobody has claimed. */
const acceptanceLapseMs = 60_000;

/** The mail a caller's key was used for; `given`: the hash of the request it comes with now. Throws Refusal `keyReused` where the key came with another request. */
export async function mailOfKey(
  context: OutboxContext,
  account: string,
  used: UsedKey & { readonly given: string },
  options: { readonly signal: AbortSignal },
): Promise<MessageRecord> {
  if (used.requestHash !== used.given) {
    throw new Refusal('keyReused', 'This Idempotency-Key was used with another request.');
  }
  const row = await context.rows.get(account, recordKey(used.message), options);
  if (!row) {
    throw new Error('A key names a message that is not there');
  }
  return recordOf(account, row);
}

/**
 * Takes a mail over: once this answers, the MIME, the record and the caller's key are durable, and the mail will leave
 * without anybody's further help. Throws Refusal `conflict` or 422 where another request took its key.
 */
export async function accept(
  context: OutboxContext,
  account: Account,
  mail: PreparedMail,
  options: AcceptOptions,
): Promise<MessageRecord> {
  const began = performance.now();
  const now = context.clock.now();
  const localId = newestFirstId(now);
  const traceId = currentTraceId();
  const { files, places } = mail.uploads ?? { files: [], places: [] };
  const frozen = await freezeUploads(context, { account: account.name, localId }, files, options.signal);
  const later = mail.sendAt !== undefined && mail.sendAt > now ? mail.sendAt : undefined;
  const draft: MessageRecord = {
    account: account.name,
    localId,
    status: later === undefined ? 'queued' : 'scheduled',
    messageId: mail.messageId,
    createdAt: toIso(now),
    ...(later === undefined ? {} : { sendAt: toIso(later), nextAttemptAt: later }),
    envelope: envelopeOf(mail.envelope),
    headerFrom: mail.headerFrom,
    date: toIso(mail.date),
    bcc: [...mail.bcc],
    size: 0,
    recipients: mail.envelope.to.map((address) => ({ address, status: 'pending' })),
    attempts: [],
    ...(mail.metadata === undefined ? {} : { metadata: { ...mail.metadata } }),
    ...(traceId === undefined ? {} : { traceId }),
  };
  const copy = later === undefined && files.length === 0 ? acceptedCopy(draft) : undefined;
  const [textSize] = await Promise.all([
    storeMime(context, draft, { content: mail.content, copy }, options.signal),
    // Beside the upload nobody waits for it; it is free when the record is written.
    context.open.note(account.name),
  ]);
  const uploads = uploadsInText(places, frozen);
  const size = uploads.reduce((sum, upload) => sum + encodedSize(upload.size), textSize);
  const record = { ...draft, size, ...(uploads.length > 0 ? { uploads } : {}) };
  const { existing, etag } = await writeRecord(context, record, options);
  if (existing) {
    await (await context.mime()).deleteBlob(mimePath(account.name, localId)).catch(() => undefined);
    await removeFrozenUploads(context, record, frozen.length);
    return existing;
  }
  if (later === undefined) context.backlog.accepted(account.name);
  if (!options.deliverHere || later !== undefined) {
    const accepted = copy && etag && size <= heldBelow ? etag : undefined;
    await context.enqueue(recordId(record), Math.max(0, (later ?? now) - now), accepted).catch((error: unknown) => {
      // The record is durable: the recovery timer will queue it.
      log.warn('outbox.enqueueFailed', { account: account.name, message: recordId(record), error: errorText(error) });
    });
  }
  log.info('outbox.accepted', {
    account: account.name,
    message: recordId(record),
    traceId,
    status: record.status,
    recipients: record.recipients.length,
    bytes: size,
    ms: msSince(began),
  });
  return record;
}

/** What the write of a record came to. */
interface Written {
  /** Another request's record, where the same key was faster. */
  readonly existing?: MessageRecord;
  /** Of the record's row; absent where it is not known any more. */
  readonly etag?: string | undefined;
}

/** Writes the record, or finds that of another request with the same key. */
async function writeRecord(context: OutboxContext, record: MessageRecord, options: AcceptOptions): Promise<Written> {
  const { key, signal } = options;
  const acceptedAt = Date.parse(record.createdAt);
  // A time that the caller named is absolute: nothing to compare it with.
  const open =
    record.nextAttemptAt === undefined
      ? { checkAt: acceptedAt + acceptanceLapseMs, waitMs: acceptanceLapseMs }
      : { checkAt: record.nextAttemptAt + acceptanceLapseMs };
  const writes: RowWrite[] = [
    { kind: 'insert', key: recordKey(record.localId), columns: recordColumns(record) },
    { kind: 'insert', key: openKey(record.localId), columns: open },
    context.dayCounts.row(record.account, { at: acceptedAt, accepted: 1 }),
    ...(await indexWrites(context, record)),
  ];
  if (key) {
    writes.push(await key.lock.naming(record.localId, await key.requestHash()));
  }
  try {
    const [etag] = await context.open.opening(record.account, () => context.rows.write(record.account, writes));
    return { etag };
  } catch (error) {
    if (!(error instanceof RowConflict)) {
      throw error;
    }
    // The id is this request's alone: written by it while it stood still, and taken up by a delivery since.
    if (await context.rows.get(record.account, recordKey(record.localId), options)) {
      return {};
    }
    if (!key) {
      throw error;
    }
    // This process stood still for so long that its lock lapsed, and another request took the key.
    const row = await context.rows.get(record.account, idempotencyRowKey(key.name), { signal });
    const used = usedKey(row, context.clock.now());
    if (!used) {
      throw new Refusal('conflict', 'Another request with this Idempotency-Key is being accepted; try again.');
    }
    const given = await key.requestHash();
    return { existing: await mailOfKey(context, record.account, { ...used, given }, { signal }) };
  }
}

function envelopeOf({ from, dsn }: Envelope): MessageRecord['envelope'] {
  const { notify, ...others } = dsn ?? {};
  return dsn ? { from, dsn: { ...others, ...(notify ? { notify: [...notify] } : {}) } } : { from };
}

async function storeMime(
  context: OutboxContext,
  { account, localId }: MessageRecord,
  { content, copy }: { readonly content: AsyncIterable<Buffer>; readonly copy: ReturnType<typeof acceptedCopy> },
  signal: AbortSignal,
): Promise<number> {
  const blob = (await context.mime()).getBlockBlobClient(mimePath(account, localId));
  const metadata = copy ? { metadata: () => copy } : {};
  return await uploadUnknown(blob, content, { contentType: 'message/rfc822', signal, ...metadata });
}
