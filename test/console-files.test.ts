import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';

let mailroom: Mailroom;
let page: string;

beforeAll(async () => {
  mailroom = await Mailroom.start();
  page = (await get('/api/console/accounts')).bytes.toString();
});

afterAll(() => mailroom?.stop());

const get = (path: string) => mailroom.expect(200, 'GET', path, { key: null });
const policyOf = async (path: string) => (await get(path)).headers.get('content-security-policy') ?? '';

describe('the files of the console', () => {
  it('are behind /console, which leads to the first screen', async () => {
    for (const path of ['/api/console', '/api/console/']) {
      const answer = await fetch(mailroom.url + path, { redirect: 'manual' });
      expect([answer.status, answer.headers.get('location')]).toEqual([302, '/api/console/accounts']);
    }
  });

  it('every address of a screen answers the same page, whatever its query', async () => {
    for (const path of [
      '/accounts/corpus',
      '/outbox?status=failed&continue=x',
      '/a/b/c',
      '/accounts/a%2Fb',
      '/..%2Fmain.cjs',
    ])
      expect(await (await fetch(`${mailroom.url}/api/console${path}`)).text(), path).toBe(page);
    problem(await mailroom.call('POST', '/api/console/accounts'), 405);
  });

  it('the page has all that it needs from here, and nothing inline', async () => {
    const policy = await policyOf('/api/console/accounts');
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(page).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:/i);
    const named = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url = '']) => url);
    expect(named.length).toBeGreaterThanOrEqual(3);
    for (const url of named) expect(url).toMatch(/^\/api\/console\/files\/[\w-]+\.(?:js|css|svg)$/);
  });

  it('names with a hash are kept for good, the page is asked for again', async () => {
    const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' };
    const named = [...page.matchAll(/(?:src|href)="([^"]*\.(js|css|svg))"/g)];
    expect(new Set(named.map(([, , ending]) => ending))).toEqual(new Set(Object.keys(types)));
    for (const [, url = '', ending = ''] of named) {
      const { headers } = await get(url);
      expect(headers.get('content-type')).toBe(Object.entries(types).find(([each]) => each === ending)?.[1]);
      expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
    for (const path of ['/api/console/accounts', '/api/console/frame', named[0]?.[1] ?? '']) {
      const { headers } = await get(path);
      if (!path.includes('/files/')) expect(headers.get('cache-control')).toBe('no-cache');
      const again = await mailroom.call('GET', path, { headers: { 'if-none-match': headers.get('etag') ?? '' } });
      expect([again.status, again.bytes.length]).toEqual([304, 0]);
    }
  });

  it.each(['/files/nothing.js', '/files/main.cjs', '/files/index.html', '/files/..%2Fmain.cjs', '/files/a/b.js'])(
    'there is no %s',
    async (path) => {
      problem(await mailroom.call('GET', `/api/console${path}`, { key: null }), 404);
    },
  );

  it('a mail is put into a page without scripts, which loads pictures from elsewhere only where it is asked to', async () => {
    const policy = await policyOf('/api/console/frame');
    expect(policy).toContain('sandbox allow-same-origin');
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/script|https?:|connect/);
    expect(await policyOf('/api/console/frame-with-pictures')).toBe(policy.replace('blob:', 'blob: https: http:'));
    expect((await get('/api/console/frame')).bytes.toString()).toContain('<body></body>');
  });
});
