import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { mailboxAccount, passwordOf, simpleMail } from './support/mailbox-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';

let mailroom: Mailroom;
let imap: ImapMailbox;

const letter = (subject: string, html: string) =>
  Buffer.from(
    [
      'From: ann@example.org',
      'To: corpus@example.com',
      `Subject: ${subject}`,
      `Message-ID: <${subject.length}.${html.length}@example.org>`,
      'Date: Thu, 01 Jan 2026 10:00:00 +0100',
      'MIME-Version: 1.0',
      'Content-Type: multipart/related; boundary=b',
      '',
      '--b',
      'Content-Type: text/html; charset=utf-8',
      '',
      html,
      '--b',
      'Content-Type: image/png; name=pixel.png',
      'Content-ID: <pixel@example.org>',
      'Content-Transfer-Encoding: base64',
      '',
      'iVBORw0KGgo=',
      '--b--',
      '',
    ].join('\r\n'),
  );

const tricky = [
  '<html><head><base href="http://evil.example/"><style>p{background:url(http://evil.example/s)}</style>',
  '<meta http-equiv="refresh" content="0;url=http://evil.example"></head>',
  '<body onload="alert(1)"><p style="color:red;background:url(http://evil.example/p)">Grüße</p>',
  '<script>alert(1)</script><img src="cid:pixel@example.org" onerror="alert(1)">',
  '<img src="https://news.example/open.png" srcset="https://news.example/2.png 2x" alt="news">',
  '<a href="javascript:alert(1)">one</a><a href="https://example.com/">two</a>',
  '<form action="https://evil.example"><input name="password"></form></body></html>',
].join('\r\n');

beforeAll(async () => {
  [mailroom, imap] = await Promise.all([
    Mailroom.start(),
    startImapMailbox({ accounts: [{ user: 'corpus', password: passwordOf('corpus') }] }),
  ]);
  imap.deliver('corpus', letter('tricky <b>&"', tricky));
  imap.deliver('corpus', letter('long', `<p>first</p>${'<p>0123456789</p>'.repeat(80_000)}<p>last</p>`));
  imap.deliver('corpus', letter('medium', `<p>first</p>${'<p>0123456789</p>'.repeat(20_000)}<p>last</p>`));
  imap.deliver('corpus', simpleMail('plain <i>text</i>'));
  await mailboxAccount(mailroom, imap, 'corpus');
  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 4 });
});

afterAll(async () => {
  await mailroom?.stop();
  await imap?.stop();
});

async function pathOf(subject: string): Promise<string> {
  const found = (await mailroom.assets('corpus')).find((asset) => String(asset.subject).startsWith(subject));
  return `/api/assets/${found?.id}`;
}

it('is a page that can do nothing', async () => {
  const { headers, bytes } = await mailroom.expect(200, 'GET', `${await pathOf('tricky')}/html`);
  expect(Object.fromEntries(headers)).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'content-disposition': 'inline',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'private, no-cache',
    'x-remote-content': 'blocked',
  });
  const policy = new Map(
    (headers.get('content-security-policy') ?? '').split('; ').map((part): [string, string] => {
      const [name = '', ...values] = part.split(' ');
      return [name, values.join(' ')];
    }),
  );
  expect(Object.fromEntries(policy)).toEqual({
    'default-src': "'none'",
    'img-src': "'self' data:",
    'style-src-attr': "'unsafe-inline'",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'self'",
    sandbox: 'allow-popups allow-popups-to-escape-sandbox',
  });
  const page = bytes.toString('utf8');
  expect(page).toMatch(/^<!doctype html>/);
  expect(page).toContain('<title>tricky &#60;b&#62;&#38;&#34;</title>');
  expect(page).toContain('<p style="color:red">Grüße</p>');
  expect(page).toContain('<img src="attachments/1" />');
  expect(page).toContain('<img alt="news" />');
  expect(page).toContain(
    '<a>one</a><a href="https://example.com/" target="_blank" rel="noopener noreferrer nofollow">',
  );
  expect(page).not.toMatch(/evil|news\.example|javascript|alert|<form|<input|<script|<base|refresh/);
});

it('links images of the mail to its attachments', async () => {
  const path = await pathOf('tricky');
  const { headers, bytes } = await mailroom.expect(200, 'GET', `${path}/attachments/1`);
  expect([headers.get('content-type'), bytes.length]).toEqual(['image/png', 8]);
});

it('shows images from elsewhere where that is asked for', async () => {
  const path = await pathOf('tricky');
  const { headers, bytes } = await mailroom.expect(200, 'GET', `${path}/html?remote=true`);
  expect(headers.get('x-remote-content')).toBe('allowed');
  expect(headers.get('content-security-policy')).toContain("img-src 'self' data: https: http:;");
  expect(bytes.toString()).toContain('<img alt="news" src="https://news.example/open.png" />');
  expect(bytes.toString()).not.toMatch(/evil|2\.png|alert/);
  const without = await mailroom.expect(200, 'GET', `${path}/html?remote=false`);
  expect(without.headers.get('x-remote-content')).toBe('blocked');
});

it('is not sent again to who has it', async () => {
  const path = `${await pathOf('tricky')}/html`;
  const etag = (await mailroom.expect(200, 'GET', path)).headers.get('etag') ?? '';
  const same = await mailroom.call('GET', path, { headers: { 'if-none-match': etag } });
  expect([same.status, same.bytes.length, same.headers.get('etag')]).toEqual([304, 0, etag]);
  const other = await mailroom.call('GET', `${path}?remote=true`, { headers: { 'if-none-match': etag } });
  expect(other.status).toBe(200);
});

it('is the text of a mail without HTML', async () => {
  const { headers, bytes } = await mailroom.expect(200, 'GET', `${await pathOf('plain')}/html`);
  expect(headers.get('x-remote-content')).toBe('none');
  expect(bytes.toString()).toContain('<title>plain &#60;i&#62;text&#60;/i&#62;</title>');
  expect(bytes.toString()).toContain('white-space: pre-wrap');
});

it('has a long body whole, and of one that is too long the beginning, which it says', async () => {
  const medium = (await mailroom.expect(200, 'GET', `${await pathOf('medium')}/html`)).bytes.toString();
  expect(medium).toContain('<p>last</p>');
  expect(medium).not.toContain('The mail is longer');
  const long = (await mailroom.expect(200, 'GET', `${await pathOf('long')}/html`)).bytes.toString();
  expect(long).toContain('<p>first</p>');
  expect(long).not.toContain('<p>last</p>');
  expect(long).toContain('<p>The mail is longer. The whole is in its MIME.</p>');
});

it('refuses what it does not know', async () => {
  const path = await pathOf('plain');
  expect(problem(await mailroom.call('GET', `${path}/html?remote=yes&images=1`), 400).pointers).toEqual([
    '/images',
    '/remote',
  ]);
  problem(await mailroom.call('GET', '/api/assets/corpus.x/html'), 404);
  await mailroom.expect(204, 'DELETE', path);
  problem(await mailroom.call('GET', `${path}/html`), 404);
});
