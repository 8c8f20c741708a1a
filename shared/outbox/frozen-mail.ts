import { Readable } from 'node:stream';
import type { FrozenMail } from '../adapters/transport.ts';
import type { OutboxContext } from './context.ts';
import { mimePath } from './mime-store.ts';
import { type MessageRecord, recordId } from './record.ts';

/** Mail up to this many bytes is read from storage in one piece, so that a slow server does not hold a download open. */
const wholeBelow = 1 << 20;

/** A record's mail as a transport gets it, for some of its recipients. */
export function frozenMail(context: OutboxContext, record: MessageRecord, to: readonly string[]): FrozenMail {
  const { from, dsn } = record.envelope;
  return {
    id: recordId(record),
    messageId: record.messageId,
    envelope: { from, to, ...(dsn ? { dsn: definedOnly(dsn) } : {}) },
    bcc: record.bcc,
    headerFrom: record.headerFrom,
    date: Date.parse(record.date ?? record.createdAt),
    size: record.size,
    open: (signal) => openMime(context, record, signal),
  };
}

function definedOnly(dsn: NonNullable<MessageRecord['envelope']['dsn']>) {
  return {
    ...(dsn.notify ? { notify: dsn.notify } : {}),
    ...(dsn.ret ? { ret: dsn.ret } : {}),
    ...(dsn.envid ? { envid: dsn.envid } : {}),
  };
}

async function openMime(context: OutboxContext, record: MessageRecord, signal: AbortSignal): Promise<Readable> {
  const blob = (await context.mime()).getBlockBlobClient(mimePath(record.account, record.rest));
  if (record.size <= wholeBelow) {
    const { readableStreamBody } = await blob.download(0, undefined, { abortSignal: signal });
    const chunks: Buffer[] = [];
    for await (const chunk of readableStreamBody ?? []) {
      chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    }
    return Readable.from([Buffer.concat(chunks)]);
  }
  // Pieces instead of one long download: a slow server may take longer than storage keeps a connection open.
  return Readable.from(pieces(blob, record.size, signal), { objectMode: false, highWaterMark: 0 });
}

/** Bytes of one ranged read. */
const pieceSize = 2 << 20;

async function* pieces(
  blob: { downloadToBuffer(offset: number, count: number, options: { abortSignal: AbortSignal }): Promise<Buffer> },
  size: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < size; offset += pieceSize) {
    yield await blob.downloadToBuffer(offset, Math.min(pieceSize, size - offset), { abortSignal: signal });
  }
}
