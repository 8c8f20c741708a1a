import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, it } from 'vitest';
import { graphStoreConfig } from '../../../../test/support/graph-fixture.ts';
import {
  startScriptedServer,
  startTestEntra,
  testSecret,
  trustTestServers,
} from '../../../../test/support/scripted-graph.ts';
import { mail, never } from '../../../../test/support/store-helpers.ts';
import type { MailContent } from '../../mail-content.ts';
import { createGraphStore } from './graph-store.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const bytes = mail('The very mail');
const large = Buffer.concat([mail('A large one'), Buffer.alloc(400_000, 'x\r\n')]);
const idOf = (one: Buffer) => /^Message-ID: (<.*>)/m.exec(one.toString())?.[1] ?? '';

/** What is made of an answer of 200 to a request for a mail that is listed with this Message-ID. */
async function contentOf(
  answer: (response: ServerResponse) => unknown,
  messageId: string,
  headersOnly = false,
): Promise<MailContent> {
  trustTestServers();
  const [server, entra] = await Promise.all([startScriptedServer((_, response) => answer(response)), startTestEntra()]);
  stops.push(server.stop, entra.stop);
  const overrides = { graphEndpoint: server.origin, authorityHost: entra.authorityHost };
  const store = createGraphStore(graphStoreConfig({}), { secret: async () => testSecret, overrides });
  const session = await store.open({ signal: never });
  stops.push(() => session.close());
  const source = { store: store.identity, scope: '', item: 'AAkALg' };
  for await (const { content } of session.fetch([{ source, folder: 'inbox', messageId }], {
    signal: never,
    headersOnly,
  })) {
    if (content.kind !== 'stream') return content;
    const whole = Buffer.concat(await content.stream.toArray());
    return { kind: 'bytes', bytes: whole, ...(content.doubt ? { doubt: content.doubt } : {}) };
  }
  throw new Error('nothing fetched');
}

const typed = (type: string, body: Buffer | string) => (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': type }).end(body);

it.each([
  ['text/plain', bytes],
  ['text/plain; charset=utf-8', large],
  ['message/rfc822', bytes],
  ['application/octet-stream', bytes],
])('takes a mail of type %s', async (type, one) => {
  const content = await contentOf(typed(type, one), idOf(one));
  expect(content).toMatchObject({ kind: 'bytes', bytes: one });
  expect(content.kind === 'bytes' && content.doubt?.()).toBeUndefined();
});

it.each([
  ['JSON', typed('application/json', JSON.stringify({ error: { code: 'Odd' } }))],
  ['a mail that says it is JSON', typed('application/json', bytes)],
  ['a page', typed('text/html', '<!doctype html><p>Sign in</p>')],
  ['JSON that says it is text', typed('text/plain', ' {"error":{"code":"Odd"}}')],
  ['a part of it', (response: ServerResponse) => response.writeHead(206, { 'content-type': 'text/plain' }).end(bytes)],
  ['a page that says it is text', typed('text/plain', `<html>${'x'.repeat(400_000)}</html>`)],
])('takes %s for no mail', async (_, answer) => {
  expect(await contentOf(answer, idOf(bytes))).toMatchObject({ kind: 'broken', reason: 'notMail' });
});

it.each(['\r\n', '\n'])(
  'finds the end of a header that comes octet by octet, with lines that end in %j',
  async (end) => {
    const header = ['Subject: slow', 'From: a@example.com', '', ''].join(end);
    const answer = async (response: ServerResponse) => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      for (const octet of Buffer.from(`${header}the body${end}${end}`)) response.write(Buffer.from([octet]));
      response.end();
    };
    expect(await contentOf(answer, '', true)).toEqual({ kind: 'bytes', bytes: Buffer.from(header) });
  },
);

it('takes no octets that are compressed, which it did not ask for', async () => {
  const answer = (response: ServerResponse) =>
    response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }).end(gzipSync(bytes));
  await expect(contentOf(answer, idOf(bytes))).rejects.toMatchObject({ kind: 'protocol', code: 'CONTENT_ENCODING' });
});

it.each([
  ['the mail with another id', typed('text/plain', mail('Another')), 'otherMail'],
  ['a large mail with another id', typed('text/plain', Buffer.concat([mail('Other'), large])), 'otherMail'],
  ['a mail without an id', typed('text/plain', 'Subject: none\r\n\r\nText\r\n'), undefined],
  ['a mail that ends with its connection', cutByClose(bytes), 'cutShort'],
])('is in doubt about %s', async (_, answer, doubt) => {
  const content = await contentOf(answer, idOf(bytes));
  expect(content.kind === 'bytes' ? content.doubt?.() : content).toBe(doubt);
});

/** An answer without a length that is not chunked either. */
function cutByClose(body: Buffer) {
  return (response: ServerResponse) => {
    response.useChunkedEncodingByDefault = false;
    response.shouldKeepAlive = false;
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write(body);
    response.end();
  };
}
