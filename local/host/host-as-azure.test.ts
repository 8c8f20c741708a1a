import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAzurite } from '../azurite.ts';
import { eventually, HOST_KEY, MASTER_KEY, startTestHost, type TestHost } from './testdata/test-host.ts';

/** What the real host was seen to do, and a friendlier one would hide. */
const SOURCE = `
app.http('refuse', { authLevel: 'anonymous', methods: ['POST'], handler: async (req) => {
  await req.body.getReader().read(); return { status: 400, body: 'no' }; } });
const count = async (req) => {
  let n = 0; for await (const chunk of req.body ?? []) n += chunk.length;
  return { jsonBody: { n, large: (req.headers.get('x-large') ?? '').length, method: req.method, url: req.url } }; };
app.http('count', { authLevel: 'function', methods: ['GET', 'POST'], handler: count });
app.http('count-one', { authLevel: 'function', methods: ['GET'], route: 'count/{id}', handler: count });
app.http('first', { authLevel: 'anonymous', methods: ['POST'], handler: async (req) => {
  const { value } = await req.body.getReader().read(); return { body: String(value.length) }; } });
app.timer('tick', { schedule: '0 0 0 1 1 *', handler: () => undefined });
`;
const KEY = { 'x-functions-key': HOST_KEY };

const azurite = await startAzurite();
afterAll(() => azurite.stop());

/** Sends bytes as they are and reads the answer to the end of the connection. */
async function raw(host: TestHost, text: string): Promise<string> {
  const socket = net.connect(host.host.port, '127.0.0.1');
  socket.write(text);
  return (await socket.toArray()).join('');
}

describe('what callers may send', () => {
  let host: TestHost;
  beforeAll(async () => {
    host = await startTestHost(
      { source: SOURCE },
      { env: { ...LIMITED, AzureWebJobsStorage: azurite.connectionString }, streamActivityTimeout: 1_500 },
    );
  });
  afterAll(() => host.stop());

  test('a Content-Length over the limit is 500', async () => {
    const request = http.request(`${host.host.url}/api/count`, {
      method: 'POST',
      headers: { ...KEY, 'content-length': 1_000_001 },
    });
    request.on('error', () => undefined);
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    request.destroy();
    expect(response.statusCode).toBe(500);
  });

  test('more than 100 headers are 431, and more than 32 KB of them', async () => {
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`x-${n}`, '1']));
    expect((await host.fetch('/api/count', { headers: { ...KEY, ...many } })).status).toBe(431);
    expect((await host.fetch('/api/count', { headers: { 'x-large': 'x'.repeat(33_000) } })).status).toBe(431);
  });

  test('%00 in a path is 400', async () => {
    expect((await host.fetch('/api/count/a%00b', { headers: KEY })).status).toBe(400);
  });

  test('a method in lower case is taken', async () => {
    const answer = await raw(
      host,
      `get /api/count HTTP/1.1\r\nHost: a\r\nx-functions-key: ${HOST_KEY}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*"method":"GET"/);
  });

  test('an absolute URL is taken, of the host that Host names', async () => {
    const get = (target: string) =>
      raw(host, `GET ${target} HTTP/1.1\r\nHost: a.test\r\nx-functions-key: ${HOST_KEY}\r\nConnection: close\r\n\r\n`);
    expect(await get('http://a.test/api/count/7?x=1')).toMatch(/^HTTP\/1\.1 200 [\s\S]*a\.test\/api\/count\/7\?x=1"/);
    expect(await get('http://b.test/api/count')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('of two keys the first counts', async () => {
    const status = async (first: string, second: string) =>
      (
        await raw(
          host,
          `GET /api/count HTTP/1.1\r\nHost: a\r\nx-functions-key: ${first}\r\nx-functions-key: ${second}\r\nConnection: close\r\n\r\n`,
        )
      ).slice(9, 12);
    expect(await status(HOST_KEY, 'wrong')).toBe('200');
    expect(await status('wrong', HOST_KEY)).toBe('401');
    expect((await host.fetch(`/api/count?Code=${HOST_KEY}&code=wrong&clientId=dam`)).status).toBe(200);
    expect((await host.fetch(`/api/count?code=wrong&Code=${HOST_KEY}`)).status).toBe(401);
  });

  test('CORS: a preflight is answered before any key, with what is allowed', async () => {
    const preflight = (origin: string) =>
      host.fetch('/api/count', {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'x-functions-key',
        },
      });
    const allowed = await preflight('https://dam.example.com');
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://dam.example.com');
    expect(allowed.headers.get('access-control-allow-methods')).toBe('POST');
    expect(allowed.headers.get('access-control-allow-headers')).toBe('x-functions-key');
    const other = await preflight('https://other.example.com');
    expect([other.status, other.headers.get('access-control-allow-origin')]).toEqual([204, null]);
    const simple = await host.fetch('/api/count', { headers: { ...KEY, origin: 'https://dam.example.com' } });
    expect(simple.headers.get('access-control-allow-origin')).toBe('https://dam.example.com');
    expect((await host.fetch('/api/count', { method: 'OPTIONS' })).status).toBe(404);
  });

  test('admin routes: 401 without a key, 403 with a lesser one, 404, 415, and their GET forms', async () => {
    const admin = async (path: string, init: RequestInit = {}, key: string | undefined = MASTER_KEY) =>
      (
        await host.fetch(path, {
          ...init,
          headers: { ...(key === undefined ? {} : { 'x-functions-key': key }), ...init.headers },
        })
      ).status;
    expect(await admin('/admin/functions', {}, 'wrong')).toBe(401);
    expect(await admin('/admin/functions', {}, HOST_KEY)).toBe(403);
    expect(await admin('/admin/host/status', {}, HOST_KEY)).toBe(403);
    expect(await admin('/admin/nothing')).toBe(404);
    expect(await admin('/admin/nothing', {}, 'wrong')).toBe(404);
    expect(await admin('/admin/functions/nobody')).toBe(404);
    expect(await admin('/admin/functions/tick')).toBe(200);
    expect(await admin('/admin/functions/tick/status')).toBe(200);
    const post = (type: string | undefined, body: string) =>
      admin('/admin/functions/tick', {
        method: 'POST',
        body: new Blob([body]),
        headers: type === undefined ? {} : { 'content-type': type },
      });
    expect(await post(undefined, '{}')).toBe(415);
    expect(await post('text/plain', '{}')).toBe(415);
    expect(await post('application/json', '{')).toBe(400);
    expect(await post('application/json', '{}')).toBe(202);
  });

  test('a body with Content-Length comes to the app whole, a chunked one as it arrives', async () => {
    const send = (headers: Record<string, number>) => {
      const request = http.request(`${host.host.url}/api/first`, { method: 'POST', headers });
      request.on('error', () => undefined);
      request.write('half');
      return { request, response: once(request, 'response') };
    };
    const announced = send({ 'content-length': 8 });
    const chunked = send({});
    const [early] = (await chunked.response) as [http.IncomingMessage];
    expect((await early.toArray()).join('')).toBe('4');
    chunked.request.destroy();
    expect(host.lines.filter((line) => line.includes("Executing 'Functions.first'"))).toHaveLength(1);
    announced.request.end('rest');
    const [late] = (await announced.response) as [http.IncomingMessage];
    expect((await late.toArray()).join('')).toBe('8');
  });

  test('a refusal that leaves part of the body unread spoils the connection for the next caller', async () => {
    const refused = await host.fetch('/api/refuse', { method: 'POST', body: 'x'.repeat(900_000) });
    expect([refused.status, await refused.text()]).toEqual([400, 'no']);
    const next = await host.fetch('/api/count', { method: 'POST', body: 'y', headers: KEY });
    expect(next.status).toBe(504);
  });
});

const LIMITED = {
  FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '1000000',
  CORS_ALLOWED_ORIGINS: '["https://dam.example.com"]',
};

test.each([
  ['the worker takes 16 KB of headers and never answers more', {}, 504],
  ['NODE_OPTIONS lets it take what the host does', { NODE_OPTIONS: '--max-http-header-size=65536' }, 200],
])('%s', async (_what, env, status) => {
  const host = await startTestHost(
    { source: SOURCE },
    {
      env: { ...env, AzureWebJobsStorage: azurite.connectionString },
      streamActivityTimeout: 1_000,
    },
  );
  try {
    const large = await host.fetch('/api/count', { headers: { ...KEY, 'x-large': 'x'.repeat(20_000) } });
    const seen = (await large.text()).includes('"large":20000');
    expect({ status: large.status, seen }).toEqual({ status, seen: status === 200 });
  } finally {
    await host.stop();
  }
});

describe('at a stop', () => {
  const source = `
    let release; const released = new Promise((resolve) => { release = resolve; });
    app.http('drains', { authLevel: 'anonymous', methods: ['GET'], handler: async () => { await released; return { body: 'drained' }; } });
    app.http('stuck', { authLevel: 'anonymous', methods: ['GET'], handler: () => new Promise(() => undefined) });
    app.hook.appTerminate(() => release());`;
  const calling = async (host: TestHost, name: string) => {
    const answer = host.fetch(`/api/${name}`).then(
      (response) => response.text(),
      () => 'cut off',
    );
    await eventually('the call', () => host.lines.some((line) => line.includes(`Executing 'Functions.${name}'`)));
    return { answer };
  };

  test('the app is asked to end at once, and not when all that runs has ended', { timeout: 180_000 }, async () => {
    const host = await startTestHost({ source }, { drainTimeout: 600_000 });
    const { answer } = await calling(host, 'drains');
    await host.stop();
    expect(await answer).toBe('drained');
  });

  test('what still runs has 5 seconds', { timeout: 180_000 }, async () => {
    const host = await startTestHost({ source }, { drainTimeout: undefined });
    const { answer } = await calling(host, 'stuck');
    await host.stop();
    expect(await answer).toBe('cut off');
    expect(host.lines.join('\n')).toMatch(/running invocations took longer than 5000 ms \(1 left\)/);
  });
});
