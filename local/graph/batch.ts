import type { BatchItem } from './batch-input.ts';
import { errorBody, newRequestId } from './graph-error.ts';
import { ok, type Reply } from './reply.ts';

/** Requests of one batch to Outlook that Graph runs at a time. */
const parallel = 4;

export interface BatchRun {
  /** Does one request. Undefined: nothing is said of it in the answer. */
  readonly answer: (item: BatchItem) => Promise<Reply | undefined>;
  /** Items that are begun; the others are not done. */
  readonly most: number;
  readonly now: () => number;
}

/** Does the requests of a batch, one after the other where they depend on one another, and answers in another order. */
export async function runBatch(items: readonly BatchItem[], { answer, most, now }: BatchRun): Promise<Reply> {
  const answers = new Map<string, Reply | undefined>();
  const waiting = items.slice(0, most);
  const isParallel = items.every(({ dependsOn }) => dependsOn.length === 0);
  // What others depend on comes first, wherever it stands.
  if (!isParallel) waiting.sort((a, b) => Number(b.dependsOn.length === 0) - Number(a.dependsOn.length === 0));
  const work = async () => {
    for (let item = waiting.shift(); item; item = waiting.shift()) {
      const failed = item.dependsOn.some((id) => (answers.get(id)?.status ?? 500) >= 400);
      answers.set(item.id, failed ? failedDependency(now()) : await answer(item));
    }
  };
  await Promise.all(Array.from({ length: isParallel ? parallel : 1 }, work));
  const responses = items.flatMap(({ id }) => {
    const reply = answers.get(id);
    return reply ? [responseOf(id, reply)] : [];
  });
  return ok({ responses: responses.reverse() });
}

function responseOf(id: string, { status, headers = {}, json, pieces, mediaType }: Reply) {
  const type = json === undefined ? mediaType : 'application/json';
  const named = Object.entries(headers).map(([name, value]) => [
    name.replace(/(^|-)[a-z]/g, (first) => first.toUpperCase()),
    value,
  ]);
  return {
    id,
    status,
    headers: {
      'Cache-Control': 'private',
      ...(type === undefined ? {} : { 'Content-Type': type }),
      ...Object.fromEntries(named),
    },
    // What is no JSON comes in base64.
    ...(json === undefined ? (pieces ? { body: Buffer.concat([...pieces]).toString('base64') } : {}) : { body: json }),
  };
}

function failedDependency(now: number): Reply {
  const requestId = newRequestId();
  const refusal = { code: 'FailedDependency', message: 'A request that this one depends on failed.' };
  return { status: 424, json: errorBody(refusal, { requestId, clientRequestId: requestId }, now) };
}
