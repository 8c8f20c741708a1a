import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HOST_KEY, MASTER_KEY, startTestHost, type TestHost } from './testdata/test-host.ts';

const SOURCE = `
app.http('echo', { authLevel: 'anonymous', methods: ['POST', 'GET'], route: 'echo/{id:int}', handler: async (req, ctx) => ({
  status: 201,
  headers: { 'x-own': 'yes', 'cache-control': 'private' },
  cookies: [{ name: 'a', value: 'b c', path: '/', httpOnly: true, sameSite: 'Lax' }],
  jsonBody: { params: { ...req.params }, query: Object.fromEntries(req.query), url: req.url, method: req.method,
    header: req.headers.get('x-in'), body: await req.text(), trace: ctx.traceContext.traceParent } }) });
app.http('own', { authLevel: 'function', methods: ['GET'], handler: () => ({ body: 'own' }) });
app.http('locked', { authLevel: 'admin', methods: ['GET'], handler: () => ({ body: 'locked' }) });
app.http('off', { authLevel: 'function', methods: ['GET'], handler: () => ({ body: 'off' }) });
app.http('boom', { authLevel: 'anonymous', methods: ['GET'], handler: () => { throw new Error('kaboom'); } });
app.http('nothing', { authLevel: 'anonymous', methods: ['GET'], handler: () => undefined });
app.http('text', { authLevel: 'anonymous', methods: ['GET'], handler: () => 'a primitive' });
app.http('late', { authLevel: 'anonymous', methods: ['GET'], handler: (req, ctx) => { setTimeout(() => ctx.log('too late'), 30); return { body: 'ok' }; } });
app.http('Zcatch', { authLevel: 'anonymous', methods: ['GET'], route: 'files/{*rest}', handler: (req) => ({ jsonBody: { by: 'Zcatch', rest: req.params.rest ?? null } }) });
app.http('afiles', { authLevel: 'anonymous', methods: ['GET'], route: 'files/{name}', handler: (req) => ({ jsonBody: { by: 'afiles', name: req.params.name } }) });
app.http('reserved', { authLevel: 'anonymous', methods: ['GET'], route: 'administrators', handler: () => ({}) });
app.serviceBusQueue('bus', { queueName: 'q', connection: 'c', handler: () => undefined });
app.hook.preInvocation((ctx) => { if (ctx.invocationContext.functionName === 'own') { const inner = ctx.functionHandler; ctx.functionHandler = async (...args) => ({ body: 'hooked ' + (await inner(...args)).body }); } });
app.hook.log((ctx) => { ctx.message = '[hook] ' + ctx.message; });
`;
const HOST_JSON = {
  extensions: { http: { customHeaders: { 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' } } },
};
const ENV = { 'AzureWebJobs.off.Disabled': 'true' };

let host: TestHost;
beforeAll(async () => {
  host = await startTestHost({ source: SOURCE, hostJson: HOST_JSON }, { env: ENV, streamActivityTimeout: 300 });
});
afterAll(() => host.stop());

test('passes request and answer through', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const response = await host.fetch('/api/ECHO/7?x=1&y=a%20b', {
    method: 'POST',
    headers: { 'x-in': 'seen', traceparent },
    body: 'héllo',
  });
  expect(response.status).toBe(201);
  expect(response.headers.get('x-own')).toBe('yes');
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(response.headers.get('cache-control')).toBe('private');
  expect(response.headers.getSetCookie()).toEqual([expect.stringMatching(/^a=b%20c; .*Path=\/.*SameSite=Lax/)]);
  expect(await response.json()).toEqual({
    params: { id: '7' },
    query: { x: '1', y: 'a b' },
    url: `${host.host.url}/api/ECHO/7?x=1&y=a%20b`,
    method: 'POST',
    header: 'seen',
    body: 'héllo',
    trace: traceparent,
  });
});

test('a body that goes on after its answer is taken to its end, and the next call of its connection is answered', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  // With the usual limits: the other tests have a caller cut off who is silent for 300 ms.
  const patient = await startTestHost({ source: SOURCE, hostJson: HOST_JSON }, { env: ENV });
  const get = async (body: readonly Buffer[]) => {
    const request = http.request(`${patient.host.url}/api/late`, {
      agent,
      headers: { 'transfer-encoding': 'chunked' },
    });
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    await response.toArray();
    for (const piece of body) request.write(piece);
    const sent = once(request, 'finish');
    request.end();
    return { sent, found: { status: response.statusCode, port: request.socket?.localPort } };
  };
  try {
    const piece = Buffer.alloc(1_000_000);
    const large = await get(Array.from({ length: 12 }, () => piece));
    expect(large.found.status).toBe(200);
    const [next] = await Promise.all([get([]), large.sent]);
    expect(next.found).toEqual(large.found);
    await next.sent;
  } finally {
    agent.destroy();
    await patient.stop();
  }
});

test('no match is 404, be it the constraint, the method or the path', async () => {
  for (const [method, path] of [
    ['GET', '/api/echo/seven'],
    ['PUT', '/api/echo/7'],
    ['GET', '/api/echo'],
    ['GET', '/echo/7'],
    ['GET', '/api/reserved'],
    ['GET', '/api/administrators'],
  ] as const) {
    expect((await host.fetch(path, { method })).status, `${method} ${path}`).toBe(404);
  }
});

test('tries routes in name order, not by how specific they are', async () => {
  expect(await (await host.fetch('/api/files/one')).json()).toEqual({ by: 'afiles', name: 'one' });
  expect(await (await host.fetch('/api/files')).json()).toEqual({ by: 'Zcatch', rest: null });
  expect(await (await host.fetch('/api/files/a/b%2Fc')).json()).toEqual({ by: 'Zcatch', rest: 'a/b%2Fc' });
});

test('keys: 401 before 404 for disabled, header before code, own keys for their function only', async () => {
  const status = async (path: string, key?: string) =>
    (await host.fetch(path, key === undefined ? {} : { headers: { 'x-functions-key': key } })).status;
  expect(await status('/api/own')).toBe(401);
  expect(await status('/api/own', 'wrong')).toBe(401);
  expect(await status('/api/own', HOST_KEY)).toBe(200);
  expect(await status('/api/own', 'own-key')).toBe(200);
  expect(await status('/api/off', 'own-key')).toBe(401);
  expect(await status(`/api/own?code=${HOST_KEY}`)).toBe(200);
  expect(await status(`/api/own?code=${HOST_KEY}`, 'wrong')).toBe(401);
  expect(await status('/api/locked', HOST_KEY)).toBe(401);
  expect(await status('/api/locked', MASTER_KEY)).toBe(200);
  expect(await status('/api/off')).toBe(401);
  expect(await status('/api/off', HOST_KEY)).toBe(404);
  expect(await status('/api/off', MASTER_KEY)).toBe(200);
  expect(await status('/api/files/x', 'wrong')).toBe(200);
});

test('a refused answer has no body', async () => {
  expect(await (await host.fetch('/api/own')).text()).toBe('');
});

test('hooks may replace the handler and the log line', async () => {
  const response = await host.fetch('/api/own', { headers: { 'x-functions-key': HOST_KEY } });
  expect(await response.text()).toBe('hooked own');
});

test('a throw: the details stay in the log', async () => {
  const response = await host.fetch('/api/boom');
  // The library never answers; the host gives up after its activity timeout.
  expect(response.status).toBe(504);
  expect(await response.text()).toBe('');
  expect(host.lines.some((line) => line.startsWith('error:') && line.includes('kaboom'))).toBe(true);
  expect(host.lines.some((line) => line.includes('never answers'))).toBe(true);
});

test('a primitive is no response, nor is nothing: both are never answered', async () => {
  expect((await host.fetch('/api/text')).status).toBe(504);
  expect((await host.fetch('/api/nothing')).status).toBe(504);
});

test('logging after the end is warned about', async () => {
  expect(await (await host.fetch('/api/late')).text()).toBe('ok');
  await expect
    .poll(() => host.lines.filter((line) => line.includes("Unexpected call to 'log'")).length)
    .toBeGreaterThan(0);
  expect(host.lines).toContain('information: [hook] too late');
});

test('a chunked body reaches the function', async () => {
  const request = http.request(`${host.host.url}/api/echo/1`, { method: 'POST' });
  request.write('in ');
  request.end('chunks');
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const text = (await response.toArray()).join('');
  expect(JSON.parse(text).body).toBe('in chunks');
});

test('functions in error are named, and the others run', () => {
  const errors = host.host.index.errors.map(({ name, reason }) => `${name}: ${reason}`);
  expect(errors).toEqual([
    'reserved: route "administrators" conflicts with the host\'s own routes',
    'bus: this host has no serviceBusTrigger: only httpTrigger, timerTrigger and queueTrigger',
  ]);
  for (const { name } of host.host.index.errors) {
    expect(host.lines.some((line) => line.startsWith(`error: The '${name}' function is in error`))).toBe(true);
  }
  expect(host.lines.join('\n')).toMatch(/no scaling.*no Easy Auth/);
});

test('landing page, ping, status, list', async () => {
  const landing = await host.fetch('/');
  expect(landing.status).toBe(200);
  expect(landing.headers.get('content-type')).toContain('text/html');
  expect((await host.fetch('/admin/host/ping')).status).toBe(200);
  expect((await host.fetch('/admin/host/status')).status).toBe(401);
  expect((await host.fetch('/admin/functions', { headers: { 'x-functions-key': HOST_KEY } })).status).toBe(403);
  const headers = { 'x-functions-key': MASTER_KEY };
  expect(await (await host.fetch('/admin/host/status', { headers })).json()).toMatchObject({
    id: host.host.hostId,
    state: 'Running',
  });
  const list = await (await host.fetch('/admin/functions', { headers })).json();
  expect(list).toContainEqual(expect.objectContaining({ name: 'off', isDisabled: true }));
  expect((await host.fire('echo')).status).toBe(400);
  expect((await host.fire('nobody')).status).toBe(404);
});

test('a request that is none is refused', async () => {
  const { port } = new URL(host.host.url);
  const socket = net.connect(Number(port), '127.0.0.1');
  socket.write('GET /api/late HTTP/1.1\r\nHost: a b/c\r\nConnection: close\r\n\r\n');
  expect((await socket.toArray()).join('')).toMatch(/^HTTP\/1\.1 400 /);
});

test('a body beyond the limit is 500 where it is announced, and 413 where it is not', async () => {
  const limited = await startTestHost({ source: SOURCE }, { env: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '1000' } });
  const post = (body: string | ReadableStream) =>
    limited.fetch('/api/echo/1', { method: 'POST', body, duplex: 'half' } as RequestInit);
  expect((await post('x'.repeat(1_000))).status).toBe(201);
  expect((await post('x'.repeat(1_001))).status).toBe(500);
  expect((await post(new Blob(['x'.repeat(2_000)]).stream())).status).toBe(413);
  await limited.stop();
});

test('an app without HTTP streaming is refused with the reason', async () => {
  const source = `app.setup({ enableHttpStream: false }); app.http('x', { methods: ['GET'], handler: () => ({}) });`;
  await expect(startTestHost({ source })).rejects.toThrow('enableHttpStream only');
});
