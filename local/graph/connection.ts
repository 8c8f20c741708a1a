import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { AnswerFaults } from './fault-answers.ts';

/** Writing and reading on the connection. */

/** Beyond this a body is not even read to its end. */
const maxDrainedBytes = 64 * 1024 * 1024;
/** Bytes handed to the connection at a time. */
const pieceBytes = 64 * 1024;
const slowStepMs = 50;

/** The whole body, or undefined where it is larger than `limit`. Rejects when the client goes away. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
    // Read on all the same, so that the client gets the answer instead of a reset.
    else chunks.length = 0;
    if (size > maxDrainedBytes) break;
  }
  return size <= limit ? Buffer.concat(chunks) : undefined;
}

export interface Written {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: Iterable<Buffer>;
}

/**
 * Writes an answer as fast as the client takes it, or as a fault has it. `beforeEnd` is called just before the last
 * byte can arrive: a client that has its answer may ask again at once.
 */
export async function writeAnswer(
  response: ServerResponse,
  { status, headers, pieces }: Written,
  answerFaults: AnswerFaults,
  beforeEnd: () => void,
): Promise<void> {
  response.writeHead(status, headers);
  const { bytesPerSecond, cutAfter = Number.POSITIVE_INFINITY } = answerFaults;
  const step = bytesPerSecond && Math.max(1, Math.floor((bytesPerSecond * slowStepMs) / 1000));
  const slices = slicesOf(pieces, step ?? pieceBytes);
  let left = cutAfter;
  let next = slices.next();
  while (!next.done) {
    const slice = next.value.subarray(0, left);
    next = slices.next();
    if (next.done) beforeEnd();
    if (response.destroyed) return;
    left -= slice.length;
    const written = response.write(slice);
    if (left <= 0) {
      // Out of the buffers first, or the cut would come before the bytes.
      if (!written) await drained(response);
      await delay(slowStepMs);
      response.destroy();
      return;
    }
    if (step) await delay(slowStepMs);
    else if (!written) await drained(response);
  }
  beforeEnd();
  response.end();
}

function* slicesOf(pieces: Iterable<Buffer>, bytes: number): Generator<Buffer, undefined> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += bytes) yield piece.subarray(at, at + bytes);
  }
}

/** Until the client has taken what was written, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
    if (response.destroyed) done();
  });
}

/** Until the client gives up. */
export function closed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed) resolve();
    else response.once('close', () => resolve());
  });
}
