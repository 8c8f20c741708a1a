import { IncomingMessage } from 'node:http';
import type { TableClient } from '@azure/data-tables';

type Pipeline = TableClient['pipeline'];
type Policy = Parameters<Pipeline['addPolicy']>[0];

/** How long storage may be silent, in ms. */
export interface StorageSilence {
  /** From the begin of a try, its upload included, to the whole answer, or to the head of one that is streamed. */
  readonly answerMs: number;
  /** Between two pieces of an answer that is streamed, while its reader waits. */
  readonly streamMs: number;
}

/** A block of 4 MiB takes this long at 70 kB/s; storage itself gives up most requests after 30 s. */
export const storageSilence: StorageSilence = { answerMs: 60_000, streamMs: 60_000 };

/**
 * Bounds each try of each request in time: the SDKs wait for an answer for ever, and a connection whose other end is gone
 * without a word brings none. What took too long counts as a network error (ETIMEDOUT), which the SDKs try again, as they
 * do where a connection breaks.
 */
export function boundTries(pipeline: Pipeline, silence: StorageSilence, RestError: RestErrorClass): void {
  pipeline.addPolicy({ name: 'boundTries', sendRequest: boundedBy(silence, RestError) }, { afterPhase: 'Retry' });
}

/** The SDKs' class of errors, which they try again by. It comes with the client: to load it takes long. */
type RestErrorClass = new (message: string, options: { readonly code: string }) => Error;

/** The pipeline that all clients made of a service client share. Throws where the SDK keeps it elsewhere. */
export function pipelineOf(service: object): Pipeline {
  // Queues and blobs keep to themselves what tables show (@azure/storage-blob 12.32, @azure/storage-queue 12.30).
  const context: unknown = Reflect.get(service, 'storageClientContext');
  const pipeline: unknown =
    typeof context === 'object' && context !== null ? Reflect.get(context, 'pipeline') : undefined;
  if (!isPipeline(pipeline)) throw new Error('The storage SDK keeps its pipeline elsewhere');
  return pipeline;
}

function isPipeline(value: unknown): value is Pipeline {
  return typeof value === 'object' && value !== null && 'addPolicy' in value && typeof value.addPolicy === 'function';
}

function boundedBy({ answerMs, streamMs }: StorageSilence, RestError: RestErrorClass): Policy['sendRequest'] {
  const tooSlow = (ms: number) => new RestError(`Storage did not answer within ${ms / 1_000} s`, { code: 'ETIMEDOUT' });
  return async (request, next) => {
    const { abortSignal } = request;
    const silent = new AbortController();
    const abort = () => silent.abort();
    const release = () => abortSignal?.removeEventListener('abort', abort);
    abortSignal?.addEventListener('abort', abort);
    if (abortSignal?.aborted) silent.abort();
    const timer = setTimeout(abort, answerMs);
    request.abortSignal = silent.signal;
    let isStreamed = false;
    try {
      const answer = await next(request);
      const { readableStreamBody } = answer;
      if (readableStreamBody instanceof IncomingMessage) {
        isStreamed = true;
        watch(readableStreamBody, streamMs, { release, broken: () => tooSlow(streamMs) });
      }
      return answer;
    } catch (error) {
      if (!silent.signal.aborted || abortSignal?.aborted) throw error;
      throw tooSlow(answerMs);
    } finally {
      clearTimeout(timer);
      // Another try goes by the caller's own signal again.
      if (abortSignal) request.abortSignal = abortSignal;
      else delete request.abortSignal;
      if (!isStreamed) release();
    }
  };
}

/** Breaks off a stream that brings nothing more to a reader who waits. */
function watch(
  stream: IncomingMessage,
  streamMs: number,
  { release, broken }: { readonly release: () => void; readonly broken: () => Error },
): void {
  let before = stream.socket.bytesRead;
  // A reader who takes his time has paused the stream, or finds something to read: the silence begins when he waits.
  let wasAwaited = true;
  const timer = setInterval(() => {
    const { bytesRead } = stream.socket;
    const isAwaited = !stream.isPaused() && stream.readableLength === 0;
    if (isAwaited && wasAwaited && bytesRead === before) stream.destroy(broken());
    before = bytesRead;
    wasAwaited = isAwaited;
  }, streamMs);
  timer.unref();
  stream.once('close', () => {
    clearInterval(timer);
    release();
  });
}
