import { AsyncLocalStorage } from 'node:async_hooks';
import type { TableClient } from '@azure/data-tables';
import { type SentWrite, submitOne, toAction } from './table-entities.ts';

/** What is known of a request beyond its answer. */
interface RequestNotes {
  /** How often it was sent: the SDK repeats what got no answer. */
  tries: number;
  /** Etags of the deletes of a transaction, in their order. */
  readonly deletes: readonly (string | undefined)[];
}

const notesOfRequest = new AsyncLocalStorage<RequestNotes>();
const prepared = new WeakSet<TableClient>();

/** A delete in the text of a transaction, up to the value of its If-Match. JSON texts have no line that begins so. */
const deletePart = /^(DELETE \S+ HTTP\/1\.1\r?\n(?:[^\r\n]+\r?\n)*?If-Match: )\*/gim;

/**
 * Adds to a client what the SDK lacks: it counts how often a request is sent, and it puts the etags of deletes into
 * transactions (`submitTransaction` of @azure/data-tables 13.3 passes none on and writes `If-Match: *`).
 */
function prepare(client: TableClient): void {
  if (prepared.has(client)) {
    return;
  }
  prepared.add(client);
  client.pipeline.addPolicy({
    name: 'conditionalDeletes',
    sendRequest(request, next) {
      const deletes = notesOfRequest.getStore()?.deletes ?? [];
      if (deletes.some((etag) => etag !== undefined)) {
        let found = 0;
        const text = String(request.body).replace(deletePart, (_, head: string) => {
          const etag = deletes[found];
          found += 1;
          return `${head}${etag ?? '*'}`;
        });
        // Rather nothing than a delete without its condition.
        if (found !== deletes.length) throw new Error('The deletes of a transaction cannot be found in its text');
        request.body = text;
        // The SDK counted before.
        if (request.headers.has('content-length')) request.headers.set('content-length', Buffer.byteLength(text));
      }
      return next(request);
    },
  });
  client.pipeline.addPolicy(
    {
      name: 'countTries',
      sendRequest(request, next) {
        const notes = notesOfRequest.getStore();
        if (notes) notes.tries += 1;
        return next(request);
      },
    },
    { afterPhase: 'Retry' },
  );
}

/** What became of a request. */
export type Submitted =
  | { readonly ok: true; readonly etags: readonly string[] }
  /** `repeated`: an earlier try of the same request may have been carried out. */
  | { readonly ok: false; readonly error: unknown; readonly repeated: boolean };

/** Sends writes to one partition, as one transaction where they are several. Answers the new etags in their order. */
export async function submit(client: TableClient, writes: readonly SentWrite[]): Promise<Submitted> {
  prepare(client);
  const deletes = writes.length > 1 ? writes.flatMap(({ write }) => (write.kind === 'delete' ? [write.etag] : [])) : [];
  const notes: RequestNotes = { tries: 0, deletes };
  try {
    const etags = await notesOfRequest.run(notes, async () => {
      const [only] = writes;
      if (writes.length === 1 && only) {
        return [await submitOne(client, only)];
      }
      const { subResponses } = await client.submitTransaction(writes.map(toAction));
      // Answers stand in the order of the operations; only inserts name their row.
      return writes.map((_, index) => subResponses[index]?.etag ?? '');
    });
    return { ok: true, etags };
  } catch (error) {
    return { ok: false, error, repeated: notes.tries > 1 };
  }
}
