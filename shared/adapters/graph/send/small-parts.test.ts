import { describe, expect, it } from 'vitest';
import { frozenMail } from '../../../../test/contract/transport.contract.ts';
import { parseFolderName } from '../../../accounts/graph-folder-name.ts';
import { retryAfterMs } from '../../net/retry-after.ts';
import { graphUrl, odataText, ownLink } from '../addresses.ts';
import { graphPlace } from '../cloud.ts';
import { GraphError, plainWords } from '../graph-error.ts';
import { Semaphore } from '../semaphore.ts';
import { isGone, isResync, storeError } from '../store/store-errors.ts';
import { withRecipients } from './recipients-header.ts';

const never = new AbortController().signal;

describe('graphPlace', () => {
  it.each([
    ['global', 'https://graph.microsoft.com', 'https://login.microsoftonline.com', true],
    ['usgov', 'https://graph.microsoft.us', 'https://login.microsoftonline.us', false],
    ['dod', 'https://dod-graph.microsoft.us', 'https://login.microsoftonline.us', false],
    ['china', 'https://microsoftgraph.chinacloudapi.cn', 'https://login.chinacloudapi.cn', false],
  ] as const)('knows the hosts of %s', (cloud, origin, authorityHost, permanentDelete) => {
    expect(graphPlace(cloud)).toEqual({
      base: `${origin}/v1.0`,
      origin,
      authorityHost,
      privateAuthority: false,
      scope: `${origin}/.default`,
      resource: 'Microsoft Graph',
      permanentDelete,
    });
  });
});

describe('addresses', () => {
  const place = graphPlace('global');

  it('takes no link that leads elsewhere', () => {
    const own = 'https://graph.microsoft.com/v1.0/users/x/delta?$deltatoken=a%2Fb%3D';
    expect(ownLink(place, own)?.href).toBe(own);
    for (const link of [
      'http://graph.microsoft.com/v1.0/x',
      'https://graph.microsoft.com.evil.example/x',
      'https://graph.microsoft.com:444/x',
      'https://graph.microsoft.com@evil.example/x',
      'https://user:pass@graph.microsoft.com/x',
      '/v1.0/x',
      '',
    ]) {
      expect(ownLink(place, link)).toBeUndefined();
    }
  });

  it('encodes what stands in a query', () => {
    const url = graphUrl(place, 'users', {
      $filter: `a eq ${odataText("O'Neill & Söhne")}`,
      $top: 5,
      $skip: undefined,
    });
    expect(url.href).toBe(
      'https://graph.microsoft.com/v1.0/users?$filter=a%20eq%20%27O%27%27Neill%20%26%20S%C3%B6hne%27&$top=5',
    );
  });
});

describe('parseFolderName', () => {
  it.each([
    ['Inbox', { kind: 'wellKnown', name: 'inbox' }],
    ['id:AAMkAD_-=', { kind: 'id', id: 'AAMkAD_-=' }],
    ['inbox/Invoices', { kind: 'path', root: 'inbox', names: ['Invoices'] }],
    ['/Inbox', { kind: 'path', root: 'msgfolderroot', names: ['Inbox'] }],
    ['Projects/2026', { kind: 'path', root: 'msgfolderroot', names: ['Projects', '2026'] }],
    ['a\\/b\\\\c', { kind: 'path', root: 'msgfolderroot', names: ['a/b\\c'] }],
  ])('reads %j', (text, name) => {
    expect(parseFolderName(text)).toEqual(name);
  });

  it.each(['', '/', 'a//b', 'a/', 'a\\', 'a\\b', 'id:', 'id:../x', 'id:a b', ' /x', 'x/'.repeat(40)])(
    'refuses %j',
    (text) => {
      expect(parseFolderName(text)).toBeUndefined();
    },
  );
});

describe('retryAfterMs', () => {
  const now = Date.parse('2026-06-01T00:00:00Z');
  it.each([
    ['7', 7_000],
    ['0', 0],
    ['Mon, 01 Jun 2026 00:02:00 GMT', 120_000],
    ['Sun, 31 May 2026 00:02:00 GMT', 0],
    ['99999999', 86_400_000],
    ['soon', undefined],
    ['-5', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('reads %j', (value, ms) => {
    expect(retryAfterMs(value, now)).toBe(ms);
  });
});

describe('Semaphore', () => {
  it('lets in as many as it has places, in order, and forgets who left the queue', async () => {
    const semaphore = new Semaphore(1);
    const first = await semaphore.acquire(never);
    const order: number[] = [];
    const impatient = new AbortController();
    const gone = semaphore.acquire(impatient.signal).catch((error: unknown) => error);
    const next = semaphore.acquire(never).then((place) => {
      order.push(1);
      return place;
    });
    impatient.abort(new Error('left'));
    expect(await gone).toMatchObject({ message: 'left' });
    expect(order).toEqual([]);
    await first.release();
    await first.release();
    const second = await next;
    const third = semaphore.acquire(never).then(() => order.push(2));
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([1]);
    await second.release();
    await third;
    expect(order).toEqual([1, 2]);
  });
});

describe('errors', () => {
  const answer = (status: number, code: string) => new GraphError('answer', 'x', { status, code });

  it('repeat no address, no token and no long opaque text', () => {
    const words = plainWords(
      `See https://graph.microsoft.com/v1.0/x?$deltatoken=secret, Bearer eyJhbGciOi.J9 and ${'A'.repeat(80)}\r\nend`,
    );
    expect(words).not.toMatch(/deltatoken|eyJ|AAAA|\n/);
    expect(words).toMatch(/^See .* end$/);
    expect(plainWords('y '.repeat(900)).length).toBeLessThanOrEqual(200);
  });

  it.each([
    [answer(410, 'Anything'), true],
    [answer(400, 'syncStateNotFound'), true],
    [answer(404, 'RESYNCREQUIRED'), true],
    [answer(500, 'SyncStateNotFound'), false],
    [answer(404, 'ErrorSyncFolderNotFound'), false],
    [answer(404, 'ErrorItemNotFound'), false],
  ])('know an expired state: %s', (error, resync) => {
    expect(isResync(error)).toBe(resync);
  });

  it('distinguish a mail that is gone from a mailbox that is not there', () => {
    expect(isGone(answer(404, 'ErrorItemNotFound'))).toBe(true);
    expect(isGone(answer(404, 'HTTP404'))).toBe(true);
    expect(isGone(answer(404, 'MailboxNotEnabledForRESTAPI'))).toBe(false);
    expect(isGone(answer(404, 'ErrorInvalidUser'))).toBe(false);
  });

  it.each([
    [answer(401, 'InvalidAuthenticationToken'), 'signIn'],
    [answer(403, 'ErrorAccessDenied'), 'permission'],
    [answer(404, 'MailboxNotEnabledForRESTAPI'), 'permission'],
    [answer(429, 'ApplicationThrottled'), 'throttled'],
    [answer(429, 'HTTP429'), 'throttled'],
    [answer(503, 'HTTP503'), 'connection'],
    [answer(509, 'HTTP509'), 'connection'],
    [answer(408, 'HTTP408'), 'connection'],
    [answer(400, 'BadRequest'), 'protocol'],
    [new GraphError('signIn', 'x', { code: 'ENOTFOUND', temporary: true }), 'connection'],
    [new GraphError('signIn', 'x', { code: 'AADSTS7000222' }), 'signIn'],
  ])('say whose trouble it is: %s', (error, kind) => {
    expect(storeError(error, never).kind).toBe(kind);
  });
});

describe('withRecipients', () => {
  const text = (header: string) => Buffer.from(`${header}\r\n\r\nTo: not a header\r\n`);
  const mail = (to: readonly string[]) => ({ ...frozenMail(), envelope: { from: 'a@b', to } });

  it('changes nothing where the header names everybody', () => {
    const mime = text('To: Anna <ANNA@example.org>,\r\n bert@example.org\r\nSubject: s');
    expect(withRecipients(mime, mail(['anna@example.org', 'bert@example.org'])).equals(mime)).toBe(true);
  });

  it('adds those that no field names, in lines that stay short', () => {
    const hidden = Array.from({ length: 100 }, (_, index) => `hidden${index}@example.org`);
    const out = withRecipients(text('To: anna@example.org'), mail(['anna@example.org', ...hidden])).toString();
    expect(out).toMatch(/^Bcc: hidden0@example.org,\r\n hidden1@example.org,/);
    expect(out).toMatch(/\r\nTo: anna@example.org\r\n\r\nTo: not a header\r\n$/);
    expect(Math.max(...out.split('\r\n').map((line) => line.length))).toBeLessThan(80);
  });

  it('takes out those that were reached, and any Bcc that was there', () => {
    const mime = text(
      'To: Anna <anna@example.org>, bert@example.org\r\nBCC: old@example.org\r\nCc: carl@example.org\r\nX: y',
    );
    expect(withRecipients(mime, mail(['bert@example.org'])).toString()).toBe(
      'To: bert@example.org\r\nX: y\r\n\r\nTo: not a header\r\n',
    );
  });
});
