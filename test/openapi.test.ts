import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Operation } from '../shared/http/openapi/operation.ts';
import { operations } from '../shared/http/openapi/operations.ts';
import { Mailroom } from './support/mailroom.ts';
import { OpenApiCheck } from './support/openapi-check.ts';
import { problem } from './support/problem.ts';
import { documentedRoutes, registeredRoutes } from './support/routes.ts';

let mailroom: Mailroom;
let document: string;

beforeAll(async () => {
  mailroom = await Mailroom.start();
  document = (await mailroom.expect(200, 'GET', '/api/openapi.json', { key: null })).bytes.toString();
});

afterAll(() => mailroom?.stop());

const entries = Object.values(operations).flatMap((chapter) => Object.entries<Operation>(chapter));

describe('the document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(document))).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
    // The validator does say no.
    expect(await new Validator().validate({ ...JSON.parse(document), info: { title: 'Mailroom' } })).toMatchObject({
      valid: false,
    });
  });

  it('has nothing that a linter finds: its examples are right, and its references lead somewhere', async () => {
    // A redirect is an answer as well.
    const config = await createConfig({ extends: ['recommended'], rules: { 'operation-2xx-response': 'off' } });
    const found = async (source: string) => {
      const problems = await lintFromString({ source, config });
      return problems.map(({ ruleId, location: [place] }) => `${ruleId} ${place?.pointer}`);
    };
    expect(await found(document)).toEqual([]);
    const wrong = await found(document.replaceAll('"status":"queued","messageId"', '"status":"waiting","messageId"'));
    expect(wrong.join()).toContain('no-invalid-media-type-examples');
  });

  it('has every route, with who may call it, as the app and docs/http.md have them', async () => {
    const needs = { key: 'a key', nothing: 'nothing' } as const;
    const described = entries.map(([, entry]) => [
      entry.route,
      entry.needs === 'key' || entry.needs === 'nothing' ? needs[entry.needs] : entry.needs,
    ]);
    expect(described.sort()).toEqual([...(await documentedRoutes())].sort());
    const registered = await registeredRoutes(mailroom);
    expect(entries.map(([, { route }]) => route).sort()).toEqual(registered.map(({ name }) => name).sort());
    const open = registered.filter(({ authLevel }) => authLevel === 'anonymous').map(({ name }) => name);
    expect(
      entries
        .filter(([, entry]) => entry.needs === 'nothing')
        .map(([, { route }]) => route)
        .sort(),
    ).toEqual(open.sort());
    const paths: Record<string, Record<string, { operationId: string }>> = JSON.parse(document).paths;
    const inDocument = Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, { operationId }]) => [operationId, `${method.toUpperCase()} ${path}`]),
    );
    expect(inDocument.sort()).toEqual(entries.map(([name, { route }]) => [name, route]).sort());
  });

  it('has names of functions as names of operations', async () => {
    const list: { name: string; config?: { bindings: { type: string; route?: string }[] } }[] = (
      await mailroom.expect(200, 'GET', '/admin/functions')
    ).json;
    const names = list
      .filter(({ config }) => config?.bindings.some(({ type, route }) => type === 'httpTrigger' && route !== '{*path}'))
      .map(({ name }) => name);
    expect(entries.map(([name]) => name).sort()).toEqual(names.sort());
  });

  it('is asked for again only to hear that it is the same', async () => {
    const first = await mailroom.call('GET', '/api/openapi.json', { key: null });
    expect(first.headers.get('cache-control')).toBe('no-cache');
    const etag = first.headers.get('etag') ?? '';
    const again = await mailroom.call('GET', '/api/openapi.json', { key: null, headers: { 'if-none-match': etag } });
    expect([again.status, again.bytes.length]).toEqual([304, 0]);
  });

  it.each([
    ['gzip', 'gzip'],
    ['br, gzip;q=0.8', 'gzip'],
    ['identity', null],
    ['gzip;q=0', null],
  ])('goes to a caller who accepts %s as %s', async (accepted, encoding) => {
    const answer = await mailroom.call('GET', '/api/openapi.json', { headers: { 'accept-encoding': accepted } });
    expect(answer.headers.get('content-encoding')).toBe(encoding);
    expect(answer.bytes.toString()).toBe(document);
  });
});

describe('the page', () => {
  it('has all that it needs from here, and nothing inline', async () => {
    const page = await mailroom.expect(200, 'GET', '/api/docs', { key: null });
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const html = page.bytes.toString();
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:/i);
    const named = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url]) => url);
    expect(named).toEqual(['data:,', '/api/docs/page.css', '/api/docs/page.js']);
    for (const [url, type] of [
      ['/api/docs/page.css', 'text/css; charset=utf-8'],
      ['/api/docs/page.js', 'text/javascript; charset=utf-8'],
    ] as const) {
      const file = await mailroom.expect(200, 'GET', url, { key: null });
      expect(file.headers.get('content-type')).toBe(type);
      expect(file.headers.get('cache-control')).toBe('public, max-age=3600');
      expect(file.bytes.toString()).not.toContain('sourceMappingURL');
      const etag = file.headers.get('etag') ?? '';
      expect((await mailroom.call('GET', url, { headers: { 'if-none-match': etag } })).status).toBe(304);
    }
  });

  it('starts Swagger UI with the document of this service', async () => {
    const { bytes } = await mailroom.expect(200, 'GET', '/api/docs/page.js', { key: null });
    expect(bytes.toString().slice(-600)).toContain("url: '/api/openapi.json'");
    problem(await mailroom.call('GET', '/api/docs/nothing.js', { key: null }), 404);
  });
});

describe('what tests see is held against the document', () => {
  const account = { account: 'corpus' };
  const exchange = {
    method: 'POST',
    path: '/api/accounts/corpus/retry',
    status: 202,
    headers: new Headers({ 'content-type': 'application/json', location: '/api/messages' }),
    json: account,
    bytes: Buffer.from(JSON.stringify(account)),
  };
  const check = (changes: object) => () => new OpenApiCheck(JSON.parse(document)).check({ ...exchange, ...changes });
  const headers = (given: Record<string, string>) => ({ headers: new Headers(given) });

  it('what is described passes', () => {
    check({})();
    check({ status: 401, bytes: Buffer.alloc(0), json: undefined, ...headers({}) })();
    check({ path: '/api/nothing', status: 404 })();
  });

  it.each([
    ['a route that is not there', { path: '/api/nothing' }, /POST \/api\/nothing.*no such route/],
    ['a status', { status: 203 }, /no such status/],
    ['a field', { json: { ...account, more: 1 } }, /answer .*additional properties.*more/],
    ['a type', { json: { account: 1 } }, /answer \/account must be string/],
    ['a field that is missing', { json: {} }, /required property 'account'/],
    ['a header that is missing', headers({ 'content-type': 'application/json' }), /Location is missing/],
    ['a content type', headers({ 'content-type': 'text/plain', location: '/' }), /the body is text\/plain/],
    ['an empty body', { bytes: Buffer.alloc(0) }, /the body is empty/],
    ['a parameter', { path: '/api/accounts/corpus/retry?top=3' }, /query parameter top is not there/],
    ['a place', { path: '/api/accounts/CORPUS/retry' }, /path parameter account .*pattern/],
  ])('%s does not', (_, changes, message) => {
    expect(check(changes)).toThrow(message);
  });

  it('a body that is taken and not described does not', () => {
    const receipt = { name: 'corpus-x', version: 'v', expiresAt: null };
    const put = {
      method: 'PUT',
      path: '/api/accounts/corpus/secrets/corpus-x',
      status: 200,
      json: receipt,
      bytes: Buffer.from(JSON.stringify(receipt)),
    };
    check({ ...put, body: { value: 'x' } })();
    expect(check({ ...put, body: { value: 'x', more: 1 } })).toThrow(/request .*additional properties/);
    expect(check({ ...put, body: {}, contentType: 'text/plain' })).toThrow(/the request's body is text\/plain/);
  });
});
