import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Entra } from '../../../local/entra/entra.ts';
import { closedPort } from '../../../test/support/imap-fixture.ts';
import {
  json,
  refuse,
  type Script,
  type ScriptedServer,
  startScriptedServer,
  startTestEntra,
  testClient,
  testSecret,
  testTenant,
  trustTestServers,
} from '../../../test/support/scripted-graph.ts';
import { graphPath, graphUrl } from './addresses.ts';
import { graphPlace } from './cloud.ts';
import { GraphClient, type GraphRequest } from './graph-client.ts';
import { GraphError } from './graph-error.ts';
import { graphSignIn } from './graph-sign-in.ts';
import type { SilenceLimits } from './http-exchange.ts';

const never = new AbortController().signal;
const anything = z.unknown();

let entra: Entra;
let server: ScriptedServer;
const clients: GraphClient[] = [];

beforeAll(async () => {
  trustTestServers();
  entra = await startTestEntra();
  server = await startScriptedServer((_, response) => json(response, 200, {}));
});
afterAll(async () => {
  await server.stop();
  await entra.stop();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

async function client(
  options: { readonly limits?: Partial<SilenceLimits>; readonly patienceMs?: number; readonly endpoint?: string } = {},
): Promise<GraphClient> {
  const place = graphPlace('global', {
    graphEndpoint: options.endpoint ?? server.origin,
    authorityHost: entra.authorityHost,
  });
  // A secret name of its own: a credential, and so a token, of its own.
  const credential = {
    type: 'clientSecret' as const,
    tenantId: testTenant,
    clientId: testClient,
    secret: `corpus-${randomUUID()}`,
  };
  const signIn = await graphSignIn(credential, place, async () => testSecret, { signal: never });
  const made = new GraphClient({
    place,
    signIn,
    userId: 'corpus@example.com',
    concurrency: 3,
    limits: options.limits,
    patience: { leftMs: options.patienceMs ?? 0 },
  });
  clients.push(made);
  return made;
}

const get = (made: GraphClient, signal: AbortSignal = never): GraphRequest => ({
  method: 'GET',
  url: graphUrl(made.place, graphPath('users', 'corpus@example.com', 'messages')),
  signal,
});

async function failure(work: Promise<unknown>): Promise<GraphError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GraphError)) throw new Error('no GraphError', { cause: error });
  return error;
}

function answering(script: Script): number {
  server.script(script);
  return server.requests.length;
}

describe('GraphClient', () => {
  it('asks with token, immutable ids, a language and a request id of its own', async () => {
    const before = answering((_, response) => json(response, 200, { value: [] }));
    const made = await client();
    await made.json({ ...get(made), prefer: ['odata.maxpagesize=50'] }, anything);
    const seen = server.requests[before];
    expect(seen?.url).toBe('/v1.0/users/corpus@example.com/messages');
    expect(seen?.headers).toMatchObject({
      prefer: 'IdType="ImmutableId", odata.maxpagesize=50',
      'accept-language': 'en-US',
      'client-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      authorization: expect.stringMatching(/^Bearer .+/),
    });
  });

  it('sends bytes as they are, and an empty POST with its length', async () => {
    const before = answering((_, response) => response.writeHead(202).end());
    const made = await client();
    const url = graphUrl(made.place, graphPath('users', 'corpus@example.com', 'sendMail'));
    const octets = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
    await made.done({ method: 'POST', url, body: octets, contentType: 'text/plain', signal: never });
    await made.done({ method: 'POST', url, signal: never });
    expect(server.requests[before]?.body.equals(octets)).toBe(true);
    expect(server.requests[before]?.headers['content-type']).toBe('text/plain');
    expect(server.requests[before + 1]?.headers['content-length']).toBe('0');
  });

  it('takes a 202 that claims to be JSON and is empty for what it is', async () => {
    answering((_, response) => response.writeHead(202, { 'content-type': 'application/json' }).end());
    const made = await client();
    await made.done({ ...get(made), method: 'POST' });
  });

  it.each([429, 500, 502, 503, 504])('never repeats a POST: %i', async (status) => {
    const before = answering((_, response) => refuse(response, status, 'Trouble', { 'retry-after': '1' }));
    const made = await client();
    const error = await failure(made.done({ ...get(made), method: 'POST' }));
    expect(error).toMatchObject({ origin: 'answer', status, code: 'Trouble', retryAfterMs: 1_000 });
    expect(error.requestId).toMatch(/^a1b2c3d4/);
    expect(server.requests.length - before).toBe(1);
  });

  it('sends the whole body again after a refused token, and signs in once for it', async () => {
    let refused = 0;
    const before = answering((_, response) => {
      if (refused++ === 0) refuse(response, 401, 'InvalidAuthenticationToken');
      else response.writeHead(202).end();
    });
    const issued = entra.issued;
    const made = await client();
    await made.done({ ...get(made), method: 'POST', body: { text: 'all of it' } });
    const bodies = server.requests.slice(before).map(({ body }) => body.toString());
    expect(bodies).toEqual(['{"text":"all of it"}', '{"text":"all of it"}']);
    expect(entra.issued - issued).toBe(2);
    await made.done({ ...get(made), method: 'POST' });
    expect(entra.issued - issued).toBe(2);
  });

  it('gives no token to another host, not even for a link that Graph gave', async () => {
    const other = await startScriptedServer((_, response) => json(response, 200, {}));
    try {
      const made = await client();
      for (const link of [`${other.origin}/v1.0/next`, server.origin.replace('https:', 'http:')]) {
        const error = await failure(made.json({ ...get(made), url: new URL(link) }, anything));
        expect(error).toMatchObject({ origin: 'nonsense', code: 'FOREIGN_HOST' });
      }
      expect(other.requests).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('follows no redirect', async () => {
    const other = await startScriptedServer((_, response) => json(response, 200, {}));
    try {
      answering((_, response) => response.writeHead(302, { location: `${other.origin}/` }).end());
      const made = await client();
      expect(await failure(made.json(get(made), anything))).toMatchObject({ status: 302 });
      expect(other.requests).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('refuses segments that lead out of the mailbox, and encodes the others', async () => {
    expect(graphPath('users', 'a/b', 'messages', '../x', '$value')).toBe('users/a%2Fb/messages/..%2Fx/$value');
    for (const segment of ['..', '.', '']) expect(() => graphPath('users', segment)).toThrow(GraphError);
  });

  it.each([
    ['an HTML page', '<html>Bad Gateway</html>', 'text/html'],
    ['nothing', '', 'application/json'],
    ['half of an error', '{"error":{"code":"Err', 'application/json'],
  ])('knows an error by its status where its body is %s', async (_, body, type) => {
    answering((_request, response) => response.writeHead(502, { 'content-type': type }).end(body));
    const made = await client();
    expect(await failure(made.json(get(made), anything))).toMatchObject({ code: 'HTTP502', status: 502 });
  });

  it('says so where an answer is no JSON, or not the one that was due', async () => {
    answering((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
    const made = await client();
    expect((await failure(made.json(get(made), anything))).origin).toBe('nonsense');
    answering((_, response) => json(response, 200, { value: 'no list' }));
    const error = await failure(made.json(get(made), z.object({ value: z.array(z.string()) })));
    expect(error).toMatchObject({ origin: 'nonsense', code: 'ANSWER_FORM' });
  });

  it('waits a short Retry-After where it may, and hands a longer one back', async () => {
    let busy = 0;
    answering((_, response) => {
      if (busy++ === 0) refuse(response, 429, 'ApplicationThrottled', { 'retry-after': '1' });
      else json(response, 200, {});
    });
    const patient = await client({ patienceMs: 5_000 });
    const began = performance.now();
    await patient.json(get(patient), anything);
    expect(performance.now() - began).toBeGreaterThan(900);
    const before = answering((_, response) => refuse(response, 429, 'ApplicationThrottled', { 'retry-after': '600' }));
    expect(await failure(patient.json(get(patient), anything))).toMatchObject({ retryAfterMs: 600_000 });
    expect(server.requests.length - before).toBe(1);
  });

  it('spends what it may wait once for requests that wait at the same time', async () => {
    let asked = 0;
    answering((_, response) => {
      asked += 1;
      if (asked <= 3) refuse(response, 429, 'ApplicationThrottled', { 'retry-after': '1' });
      else json(response, 200, {});
    });
    const patient = await client({ patienceMs: 2_500 });
    await Promise.all(Array.from({ length: 3 }, () => patient.json(get(patient), anything)));
    expect(asked).toBe(6);
  });

  it('stops waiting when it is asked to', async () => {
    answering((_, response) => refuse(response, 429, 'ApplicationThrottled', { 'retry-after': '9' }));
    const made = await client({ patienceMs: 20_000 });
    expect((await failure(made.json(get(made, AbortSignal.timeout(200)), anything))).origin).toBe('aborted');
  });

  it.each(['before the answer', 'in the middle of it'])('gives up on a server that goes silent %s', async (moment) => {
    answering((_, response) => {
      if (moment === 'in the middle of it') response.writeHead(200, { 'content-length': '100' }).write('{');
    });
    const made = await client({ limits: { answer: 300, idle: 300 } });
    expect(await failure(made.json(get(made), anything))).toMatchObject({ origin: 'network', code: 'ETIMEDOUT' });
  });

  it('distinguishes a body that ends early from a whole one', async () => {
    answering((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{}', () => response.destroy());
    });
    const made = await client();
    expect(await failure(made.json(get(made), anything))).toMatchObject({ origin: 'network', code: 'ECONNRESET' });
  });

  it('knows that nothing arrived where nothing listens', async () => {
    const made = await client({ endpoint: `https://localhost:${await closedPort()}` });
    const error = await failure(made.done({ ...get(made), method: 'POST' }));
    expect(error).toMatchObject({ origin: 'network', code: 'ECONNREFUSED', mayHaveArrived: false });
    expect(error.hint).toBeTruthy();
  });

  it('tries a GET again on a fresh connection when a kept one was closed meanwhile, and no POST', async () => {
    let cut = false;
    const before = answering((_, response) => {
      if (cut) {
        cut = false;
        response.destroy();
      } else json(response, 200, {});
    });
    const made = await client();
    await made.json(get(made), anything);
    cut = true;
    await made.json(get(made), anything);
    expect(server.requests.length - before).toBe(3);
    cut = true;
    const error = await failure(made.done({ ...get(made), method: 'POST' }));
    expect(error).toMatchObject({ origin: 'network', mayHaveArrived: true });
    expect(server.requests.length - before).toBe(4);
  });

  it('asks for no more at once than it may', async () => {
    let now = 0;
    let most = 0;
    answering(async (_, response) => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
      json(response, 200, {});
    });
    const made = await client();
    await Promise.all(Array.from({ length: 20 }, () => made.json(get(made), anything)));
    expect(most).toBeLessThanOrEqual(3);
  });
});
