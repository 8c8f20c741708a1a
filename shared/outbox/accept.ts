import type { Account } from '../accounts/rules.ts';
import type { Envelope } from '../adapters/transport.ts';
import { HttpProblem } from '../http/problem.ts';
import { toIso } from '../platform/clock.ts';
import { newestFirstId } from '../platform/ids.ts';
import { currentTraceId, errorText, log, msSince } from '../platform/log.ts';
import { RowConflict, type RowWrite } from '../platform/rows.ts';
import { uploadUnknown } from '../platform/upload.ts';
import type { OutboxContext } from './context.ts';
import { idempotencyRowKey } from './idempotency.ts';
import { type KeyHold, type UsedKey, usedKey } from './key-hold.ts';
import { mimePath } from './mime-store.ts';
import { type MessageRecord, openKey, recordColumns, recordId, recordKey, recordOf } from './record.ts';

/** A mail whose headers and body are final. */
export interface PreparedMail {
  readonly envelope: Envelope;
  readonly bcc: readonly string[];
  readonly headerFrom: string;
  readonly messageId: string;
  /** Instant of its Date header, in ms. */
  readonly date: number;
  /** The MIME text, as it comes. */
  readonly content: AsyncIterable<Buffer>;
  /** Not before this instant, in ms. */
  readonly sendAt?: number;
}

export interface AcceptOptions {
  readonly signal: AbortSignal;
  /** Left out of the queue: the caller delivers at once itself. The recovery timer would still find it. */
  readonly deliverHere?: boolean;
  /** The caller's key, held. */
  readonly key?: {
    readonly name: string;
    readonly hold: KeyHold;
    /** Asked for once the whole content has passed, since a hash over a streamed body is known only then. */
    readonly requestHash: () => string;
  };
}

/** The recovery timer looks after a message that was accepted this long ago and that nobody has claimed. */
export const acceptanceLapseMs = 60_000;

/** The mail a caller's key was used for. Throws HttpProblem 422 where the key came with another request. */
export async function mailOfKey(
  context: OutboxContext,
  account: string,
  used: UsedKey,
  requestHash: string,
  options: { readonly signal: AbortSignal },
): Promise<MessageRecord> {
  if (used.requestHash !== requestHash) {
    throw new HttpProblem(422, 'This Idempotency-Key was used with another request.');
  }
  const row = await context.rows.get(account, recordKey(used.message), options);
  if (!row) {
    throw new Error('A key names a message that is not there');
  }
  return recordOf(account, row);
}

/**
 * Takes a mail over: once this answers, the MIME, the record and the caller's key are durable, and the mail will leave
 * without anybody's further help. Throws HttpProblem 409 or 422 where another request got hold of its key.
 */
export async function accept(
  context: OutboxContext,
  account: Account,
  mail: PreparedMail,
  options: AcceptOptions,
): Promise<MessageRecord> {
  const began = performance.now();
  const now = context.clock.now();
  const rest = newestFirstId(now);
  const traceId = currentTraceId();
  const size = await storeMime(context, mimePath(account.name, rest), mail.content, options.signal);
  const later = mail.sendAt !== undefined && mail.sendAt > now ? mail.sendAt : undefined;
  const record: MessageRecord = {
    account: account.name,
    rest,
    status: later === undefined ? 'queued' : 'scheduled',
    messageId: mail.messageId,
    createdAt: toIso(now),
    ...(later === undefined ? {} : { sendAt: toIso(later), nextAttemptAt: later }),
    envelope: envelopeOf(mail.envelope),
    headerFrom: mail.headerFrom,
    date: toIso(mail.date),
    bcc: [...mail.bcc],
    size,
    recipients: mail.envelope.to.map((address) => ({ address, status: 'pending' })),
    attempts: [],
    ...(traceId === undefined ? {} : { traceId }),
  };
  const existing = await writeRecord(context, record, options);
  if (existing) {
    await (await context.mime()).deleteBlob(mimePath(account.name, rest)).catch(() => undefined);
    return existing;
  }
  if (!options.deliverHere || later !== undefined) {
    await context.enqueue(recordId(record), Math.max(0, (later ?? now) - now)).catch((error: unknown) => {
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

/** Writes the record; answers another request's record where the same key was faster. */
async function writeRecord(
  context: OutboxContext,
  record: MessageRecord,
  options: AcceptOptions,
): Promise<MessageRecord | undefined> {
  const { key, signal } = options;
  const checkAt = (record.nextAttemptAt ?? Date.parse(record.createdAt)) + acceptanceLapseMs;
  const writes: RowWrite[] = [
    { kind: 'insert', key: recordKey(record.rest), columns: recordColumns(record) },
    { kind: 'insert', key: openKey(record.rest), columns: { checkAt } },
  ];
  if (key) {
    writes.push(await key.hold.naming(record.rest, key.requestHash()));
  }
  try {
    await context.rows.write(record.account, writes);
    return undefined;
  } catch (error) {
    if (!(error instanceof RowConflict)) {
      throw error;
    }
    // Our own write, carried out and then repeated by the SDK: the record is there.
    if (await context.rows.get(record.account, recordKey(record.rest), options)) {
      return undefined;
    }
    if (!key) {
      throw error;
    }
    // This process stood still for so long that its hold lapsed, and another request took the key.
    const row = await context.rows.get(record.account, idempotencyRowKey(key.name), { signal });
    const used = usedKey(row, context.clock.now());
    if (!used) {
      throw new HttpProblem(409, 'Another request with this Idempotency-Key is being accepted; try again.');
    }
    return await mailOfKey(context, record.account, used, key.requestHash(), { signal });
  }
}

function envelopeOf({ from, dsn }: Envelope): MessageRecord['envelope'] {
  if (!dsn) {
    return { from };
  }
  const { notify, ret, envid } = dsn;
  return {
    from,
    dsn: { ...(notify ? { notify: [...notify] } : {}), ...(ret ? { ret } : {}), ...(envid ? { envid } : {}) },
  };
}

async function storeMime(
  context: OutboxContext,
  path: string,
  content: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<number> {
  return await uploadUnknown(await context.mime(), path, content, 'message/rfc822', signal);
}
