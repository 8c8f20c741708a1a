import { describe, expect, it } from 'vitest';
import { mediaType, readBody } from './body.ts';
import { readJsonBody } from './json-body.ts';
import { HttpProblem } from './problem.ts';

function request(
  body: string | Uint8Array<ArrayBuffer> | ReadableStream | null,
  headers: Record<string, string> = { 'content-type': 'application/json' },
): Request {
  return new Request('http://localhost/', { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
}

function chunked(chunks: readonly Uint8Array[]): ReadableStream {
  return ReadableStream.from(chunks);
}

async function statusOf(work: Promise<unknown>): Promise<number> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof HttpProblem) return error.status;
  throw new Error('not refused', { cause: error });
}

describe('readBody', () => {
  it('reads chunks up to the limit, and not one byte more', async () => {
    const chunks = [new Uint8Array(5), new Uint8Array(5)];
    expect((await readBody(request(chunked(chunks)), { maxBytes: 10 })).length).toBe(10);
    expect(await statusOf(readBody(request(chunked(chunks)), { maxBytes: 9 }))).toBe(413);
  });

  it('refuses by Content-Length before it reads, and stops reading an endless body', async () => {
    let pulled = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(1000));
      },
    });
    expect(await statusOf(readBody(request(endless), { maxBytes: 10_000 }))).toBe(413);
    expect(pulled).toBeLessThan(20);
    expect(await statusOf(readBody(request('x', { 'content-length': '11' }), { maxBytes: 10 }))).toBe(413);
  });

  it('answers nothing for no body', async () => {
    expect((await readBody(request(null), { maxBytes: 10 })).length).toBe(0);
  });
});

describe('readJsonBody', () => {
  it('reads JSON in UTF-8', async () => {
    expect(await readJsonBody(request('{"a":"ü"}'))).toEqual({ a: 'ü' });
    expect(await readJsonBody(request('1', { 'content-type': 'application/merge-patch+json; charset="UTF-8"' }))).toBe(
      1,
    );
  });

  it.each([
    ['', 400],
    [' ', 400],
    ['{', 400],
    ['{} x', 400],
    [new Uint8Array([0x22, 0xe9, 0x22]), 400],
  ])('refuses %j', async (body, status) => {
    expect(await statusOf(readJsonBody(request(body)))).toBe(status);
  });

  it.each(['text/plain', 'application/jsonx', 'application/json; charset=iso-8859-1', ''])(
    'refuses Content-Type %j',
    async (type) => {
      expect(
        await statusOf(readJsonBody(request(new Uint8Array([0x31]), type === '' ? {} : { 'content-type': type }))),
      ).toBe(415);
    },
  );

  it('takes an empty body where it is optional', async () => {
    expect(await readJsonBody(request(null, {}), { optional: true })).toBeUndefined();
    expect(await statusOf(readJsonBody(request('x', { 'content-type': 'text/plain' }), { optional: true }))).toBe(415);
  });

  it('does not repeat the body in the problem', async () => {
    const error: unknown = await readJsonBody(request('{"password":hunter2}')).catch((reason: unknown) => reason);
    expect(String(error)).not.toContain('hunter2');
  });
});

describe('mediaType', () => {
  it('reads type and charset', () => {
    expect(mediaType(request('', { 'content-type': 'Message/RFC822; x=y' }))).toEqual({ type: 'message/rfc822' });
  });
});
