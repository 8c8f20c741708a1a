import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom, until } from './support/mailroom.ts';
import { principal } from './support/principal.ts';
import { asksNothing, registeredRoutes } from './support/routes.ts';
import { smtpAccount } from './support/sending.ts';

/** How the app treats request bodies that it does not want, that stand still, or that come in dust. */
let mailroom: Mailroom;

beforeAll(async () => {
  mailroom = await Mailroom.start();
  await smtpAccount(mailroom, 'corpus', { port: 9 });
});
afterAll(() => mailroom?.stop());

it('a sign-in that the caller writes himself opens no route, where none is in front', async () => {
  for (const { name, method, path, authLevel } of await registeredRoutes(mailroom)) {
    if (authLevel === 'anonymous') continue;
    for (const key of [null, 'wrong-key']) {
      const answer = await mailroom.call(method, path, { key, headers: principal('Mailroom.Admin') });
      expect([answer.status, answer.bytes.length], name).toEqual([401, 0]);
    }
  }
});

/** Sends all of a chunked body whatever is answered meanwhile, as many clients and every proxy do. */
async function send(room: Mailroom, method: string, path: string, options: SendOptions) {
  const { first, kilobytes = 3_000, headers = {} } = options;
  const request = http.request(room.url + path, {
    method,
    headers: { 'transfer-encoding': 'chunked', ...room.keyHeader, ...headers },
  });
  const answered = once(request, 'response');
  request.write(first);
  for (let sent = 0; sent < kilobytes; sent += 100) request.write(Buffer.alloc(100_000, 'x'));
  request.end();
  const [response] = (await answered) as [http.IncomingMessage];
  const text = (await response.toArray()).join('');
  const isJson = response.headers['content-type']?.endsWith('json') === true;
  return { status: response.statusCode, problem: isJson ? JSON.parse(text) : {} };
}

interface SendOptions {
  readonly first: string;
  readonly kilobytes?: number;
  readonly headers?: Record<string, string>;
}

const json = { 'content-type': 'application/json' };
const raw = { 'content-type': 'message/rfc822' };
const mail = 'From: corpus@example.com\r\nTo: a@example.org\r\nSubject: s\r\n\r\nText\r\n';

describe('a refusal while the body is still coming', () => {
  it.each<[number, string, string, string, Record<string, string>]>([
    [415, 'POST', '/api/messages', '', { 'content-type': 'text/plain' }],
    [404, 'POST', '/api/accounts/nobody/messages', '{', json],
    [400, 'POST', '/api/messages?wrong=1', '{', json],
    [400, 'POST', '/api/messages', 'no header line\r\n\r\n', raw],
    [400, 'POST', '/api/messages', '{', { ...json, 'idempotency-key': 'k'.repeat(300) }],
    [413, 'PUT', '/api/accounts/large', '{"', json],
    [413, 'PUT', '/api/accounts/corpus/secrets/corpus-x', '{"', json],
    [413, 'POST', '/api/accounts/corpus/import', '{"', json],
    [404, 'POST', '/api/nothing/here', '', {}],
    [405, 'POST', '/api/health', '', {}],
    [404, 'DELETE', '/api/messages/corpus.20260101T000000000Z-0123456789abcdef', '', {}],
  ])(
    '%i to %s %s is answered, and so is the next call',
    { timeout: 180_000 },
    async (status, method, path, first, headers) => {
      for (const kilobytes of [1_200, 3_000, 12_000]) {
        const refused = await send(mailroom, method, path, { first, headers, kilobytes });
        expect([refused.status, refused.problem.status]).toEqual([status, status]);
      }
      const next = await mailroom.call('POST', '/api/messages', { body: {} });
      expect(next.json?.detail).toBe('The request has mistakes.');
    },
  );

  it('on every route it is the same, be the call taken or not', { timeout: 180_000 }, async () => {
    for (const { name, method, path } of await registeredRoutes(mailroom)) {
      for (const asked of [`${path}?wrong=1`, path.replace('/corpus', '/nobody')]) {
        await send(mailroom, method, asked, { first: '[', headers: json });
        const next = await mailroom.call('POST', '/api/messages', { body: {} });
        expect(next.json?.detail, name).toBe('The request has mistakes.');
      }
    }
  });

  it('with the role missing it is the same on every route', { timeout: 180_000 }, async () => {
    const signIn = await Mailroom.start({ env: { WEBSITE_AUTH_ENABLED: 'True', WEBSITE_INSTANCE_ID: 'one' } });
    try {
      for (const { name, method, path } of await registeredRoutes(signIn)) {
        // Graph signs in with nobody: its notifications are told by what they hold.
        if (asksNothing(name) || name === 'POST /graph/notifications') continue;
        for (const [status, headers] of [
          [401, json],
          [403, { ...json, ...principal('Mailroom.Nothing') }],
        ] as const) {
          expect((await send(signIn, method, path, { first: '{', headers })).status, name).toBe(status);
        }
      }
    } finally {
      await signIn.stop();
    }
  });

  it.each<[number, string, string, Record<string, string>]>([
    [412, 'DELETE', '/api/accounts/corpus', { 'if-match': '"another"' }],
    [409, 'POST', '/api/accounts/idle/retry', {}],
    [422, 'POST', '/api/messages', { ...raw, 'idempotency-key': 'of-another-mail' }],
  ])('%i for a conflict to %s %s is the same', { timeout: 180_000 }, async (status, method, path, headers) => {
    await mailroom.call('PUT', '/api/accounts/idle', { body: { from: 'idle@example.com' } });
    const key = { ...raw, 'idempotency-key': 'of-another-mail' };
    await mailroom.call('POST', '/api/messages', { raw: Buffer.from(mail), headers: key });
    for (let n = 0; n < 3; n++) {
      const refused = await send(mailroom, method, path, { first: mail, headers });
      expect([refused.status, refused.problem.status]).toEqual([status, status]);
    }
    const next = await mailroom.call('POST', '/api/messages', { body: {} });
    expect(next.json?.detail).toBe('The request has mistakes.');
  });
});

const open = (headers: Record<string, string>) => {
  const request = http.request(`${mailroom.url}/api/messages`, {
    method: 'POST',
    headers: { ...mailroom.keyHeader, ...headers },
  });
  request.on('error', () => undefined);
  return request;
};

describe('a body that does not come', () => {
  it('is 408 after 30 s without a byte, and frees its key', { timeout: 180_000 }, async () => {
    const key = randomUUID();
    const stalled = open({ ...raw, 'idempotency-key': key });
    stalled.write(mail.slice(0, 40));
    const [answer] = (await once(stalled, 'response')) as [http.IncomingMessage];
    expect(answer.statusCode).toBe(408);
    stalled.destroy();
    const again = await mailroom.call('POST', '/api/messages', {
      raw: Buffer.from(mail),
      headers: { ...raw, 'idempotency-key': key },
    });
    expect(again.status).toBe(202);
  });

  it('is no failure of the service where the caller went away', { timeout: 180_000 }, async () => {
    const key = randomUUID();
    const gone = open({ ...raw, 'idempotency-key': key });
    const before = (await mailroom.log()).length;
    gone.write(mail.slice(0, 40));
    const since = async () => (await mailroom.log()).slice(before);
    await until('the call', 60, async () => (await since()).includes("Executing 'Functions.messages-send'"));
    gone.destroy();
    await until('its end', 60, async () => (await since()).includes("Executed 'Functions.messages-send'"));
    expect(await since()).not.toContain('http.failed');
    const again = await mailroom.call('POST', '/api/messages', {
      raw: Buffer.from(mail),
      headers: { ...raw, 'idempotency-key': key },
    });
    expect(again.status).toBe(202);
  });
});

it('headers of 20 KB are answered, in every route', async () => {
  const headers = { 'x-large': 'x'.repeat(20_000) };
  expect((await mailroom.call('GET', '/api/health', { headers })).status).toBe(200);
  expect((await mailroom.call('GET', '/api/nothing', { headers })).status).toBe(404);
});

describe('bodies that are made to cost much', () => {
  const repeated = (text: string, times: number) => Buffer.alloc(text.length * times, text);
  it.each<[string, () => Buffer]>([
    ['48 MB of brackets', () => repeated('[', 48_000_000)],
    [
      'half a million headers that are wrong',
      () => Buffer.from(`{"headers":{${Array.from({ length: 500_000 }, (_, n) => `"h h${n}":""`)}}}`),
    ],
    ['48 MB of addresses', () => Buffer.from(`{"to":["${repeated('a@b.de","', 5_000_000)}"]}`)],
    ['48 MB in one address', () => Buffer.from(`{"to":{"address":"${repeated('a', 48_000_000)}"}}`)],
    ['a million attachments', () => Buffer.from(`{"attachments":[${repeated('{},', 1_000_000)}{}]}`)],
    ['a name twice', () => Buffer.from('{"subject":"a","subject":"b"}')],
    ['a header __proto__', () => Buffer.from('{"headers":{"__proto__":"x"}}')],
  ])('%s are refused, and nothing is made of them', { timeout: 180_000 }, async (_, body) => {
    const refused = await mailroom.call('POST', '/api/messages', { raw: body(), headers: json });
    expect(refused.status).toBe(400);
    expect(refused.json.errors.length).toBeGreaterThan(0);
  });

  it('a mail in 250,000 chunks of one byte is taken like any other', { timeout: 180_000 }, async () => {
    const line = `${'x'.repeat(78)}\r\n`;
    const text = mail + line.repeat((250_000 - mail.length) / line.length);
    const { port } = new URL(mailroom.url);
    const socket = net.connect(Number(port), '127.0.0.1');
    socket.write(
      `POST /api/messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: message/rfc822\r\n` +
        `x-functions-key: ${mailroom.keyHeader['x-functions-key']}\r\nTransfer-Encoding: chunked\r\n\r\n` +
        `${text.replace(/[\s\S]/g, '1\r\n$&\r\n')}0\r\n\r\n`,
    );
    expect((await socket.toArray()).join('')).toMatch(/^HTTP\/1\.1 202 /);
  });
});

it('a body that is encoded is 415, on every route', async () => {
  for (const [method, path] of [
    ['POST', '/api/messages'],
    ['PUT', '/api/accounts/packed'],
  ] as const) {
    const headers = { ...json, 'content-encoding': 'gzip' };
    const refused = await mailroom.call(method, path, { raw: Buffer.from('{}'), headers });
    expect([refused.status, refused.headers.get('accept-encoding')]).toEqual([415, 'identity']);
  }
  const plain = { ...json, 'content-encoding': 'identity' };
  expect((await mailroom.call('POST', '/api/messages', { raw: Buffer.from('{}'), headers: plain })).status).toBe(400);
});

it('a refused request leaves no row of its key', async () => {
  const rows = () => storedRows(mailroom.azurite.connectionString, 'outbox', 'i:');
  const before = await rows();
  for (const headers of [{}, { 'content-encoding': 'gzip' }] as Record<string, string>[])
    await mailroom.call('POST', '/api/messages', {
      raw: Buffer.from('{}'),
      headers: { ...json, 'idempotency-key': randomUUID(), ...headers },
    });
  expect(await rows()).toBe(before);
});

async function storedRows(connectionString: string, table: string, prefix: string): Promise<number> {
  const client = TableClient.fromConnectionString(connectionString, table, { allowInsecureConnection: true });
  await client.createTable();
  let count = 0;
  for await (const { rowKey } of client.listEntities()) if (rowKey?.startsWith(prefix)) count++;
  return count;
}
