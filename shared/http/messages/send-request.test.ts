import { describe, expect, it } from 'vitest';
import { Refusal } from '../../platform/refusal.ts';
import { HttpProblem } from '../problem.ts';
import { readSendRequest } from './send-request.ts';

const json = '{"to":["a@example.com"],"subject":"x"}';

function request(body: string, headers: Record<string, string> = {}, query = '') {
  return {
    headers: new Headers({ 'content-type': 'application/json', 'idempotency-key': 'k', ...headers }),
    query: new URLSearchParams(query),
    body: new Blob([body]).stream(),
  };
}

async function hashOf(...given: Parameters<typeof request>): Promise<string | undefined> {
  return await readSendRequest(request(...given)).key?.requestHash();
}

describe('the hash of a request with a key', () => {
  it('is the same before and after the mail was read', async () => {
    const { mail, key } = readSendRequest(request(json));
    expect(mail.kind === 'fields' && (await mail.read())).toEqual(JSON.parse(json));
    expect(await key?.requestHash()).toBe(await hashOf(json));
    expect(await key?.requestHash()).toBe(await hashOf(json));
  });

  it('covers what is left of a mail that was read in part', async () => {
    const pieces = async function* () {
      yield Buffer.from('Subject: x\r\n');
      yield Buffer.from('\r\nText\r\n');
    };
    const mime = { 'content-type': 'message/rfc822' };
    const body = pieces();
    const source = { [Symbol.asyncIterator]: () => ({ next: () => body.next() }) };
    const { mail, key } = readSendRequest({ ...request('', mime), body: source });
    if (mail.kind !== 'mime') throw new Error('not taken for MIME');
    for await (const _ of mail.bytes) break;
    expect(await key?.requestHash()).toBe(await hashOf('Subject: x\r\n\r\nText\r\n', mime));
  });

  it('distinguishes bodies, content types and queries, and passes over the function key', async () => {
    const same = await hashOf(json);
    expect(await hashOf(json, {}, 'code=other')).toBe(same);
    expect(await hashOf(json, {}, 'Code=other&clientId=dam')).toBe(same);
    expect(await hashOf(`${json} `)).not.toBe(same);
    expect(await hashOf(json, { 'content-type': 'application/json; charset=utf-8' })).not.toBe(same);
    expect(await hashOf(json, {}, 'x=1')).not.toBe(same);
  });
});

it('takes keys of 1 to 256 characters', () => {
  expect(readSendRequest(request(json, { 'idempotency-key': 'k'.repeat(256) })).key?.name).toHaveLength(256);
  for (const key of ['', ' ', 'k'.repeat(257)]) {
    expect(() => readSendRequest(request(json, { 'idempotency-key': key }))).toThrow(Refusal);
  }
});

it('refuses other content types, and a ready-made mail that announces more than is taken', () => {
  expect(() => readSendRequest(request('x', { 'content-type': 'text/plain' }))).toThrow(HttpProblem);
  const length = String(150 * 1024 * 1024 + 1);
  const large = request('', { 'content-type': 'message/rfc822', 'content-length': length });
  expect(() => readSendRequest(large)).toThrow(/at most/);
});
