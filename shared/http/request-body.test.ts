import { describe, expect, it } from 'vitest';
import { HttpProblem } from './problem.ts';
import { RequestBody } from './request-body.ts';

const signal = new AbortController().signal;

async function statusOf(work: Promise<unknown>): Promise<number> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof HttpProblem) return error.status;
  throw new Error('not refused', { cause: error });
}

async function sizes(body: RequestBody): Promise<readonly number[]> {
  const found: number[] = [];
  for await (const piece of body) found.push(piece.length);
  return found;
}

describe('RequestBody', () => {
  it('hands single bytes on in large pieces', async () => {
    const dust = ReadableStream.from(Array.from({ length: 200_000 }, () => new Uint8Array(1)));
    expect(await sizes(new RequestBody(dust, { signal }))).toEqual([65_536, 65_536, 65_536, 3_392]);
  });

  it('reads the rest of what nobody wanted', async () => {
    let pulled = 0;
    const stream = new ReadableStream({
      pull(controller) {
        if (++pulled > 50) controller.close();
        else controller.enqueue(new Uint8Array(100_000));
      },
    });
    const body = new RequestBody(stream, { signal });
    for await (const _ of body) break;
    expect(pulled).toBeLessThan(10);
    await body.finish();
    expect(pulled).toBe(51);
  });

  it('is 408 where no byte comes, and then waits no more', async () => {
    const silent = () => new ReadableStream({ pull: () => new Promise(() => undefined) });
    const body = new RequestBody(silent(), { signal, stallMs: 20 });
    expect(await statusOf(sizes(body))).toBe(408);
    await body.finish();
    const over = new RequestBody(silent(), { signal: AbortSignal.abort() });
    expect(await statusOf(sizes(over))).toBe(408);
    await over.finish();
  });

  it('is 400 where the caller goes away', async () => {
    const gone = new ReadableStream({ pull: (controller) => controller.error(new Error('aborted')) });
    expect(await statusOf(sizes(new RequestBody(gone, { signal })))).toBe(400);
  });

  it('has nothing where there is none', async () => {
    const none = new RequestBody(null, { signal });
    expect(await sizes(none)).toEqual([]);
    await none.finish();
  });
});
