import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { mailboxAccount, passwordOf, simpleMail } from './support/mailbox-account.ts';
import { type Answer, Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { assetBlobs } from './support/storage-audit.ts';

let mailroom: Mailroom;
let imap: ImapMailbox;

beforeAll(async () => {
  const users = ['corpus', 'lists'];
  [mailroom, imap] = await Promise.all([
    Mailroom.start(),
    startImapMailbox({ accounts: users.map((user) => ({ user, password: passwordOf(user) })) }),
  ]);
  imap.deliver('corpus', simpleMail('one'));
  imap.deliver('corpus', withAttachments);
  await mailboxAccount(mailroom, imap, 'corpus');
  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 2 });
});

afterAll(async () => {
  await mailroom?.stop();
  await imap?.stop();
});

const pdf = Buffer.from(Array.from({ length: 1000 }, (_, n) => (n * 7) % 256));

const withAttachments = Buffer.from(
  [
    'From: =?utf-8?Q?J=C3=BCrgen?= <juergen@example.org>',
    'To: corpus@example.com, Anna <anna@example.com>',
    'Cc: carl@example.com',
    'Reply-To: answers@example.org',
    'Subject: =?utf-8?Q?Pr=C3=BCfung?=',
    'Message-ID: <att@example.org>',
    'In-Reply-To: <zero@example.org>',
    'References: <zero@example.org>',
    'Date: Thu, 01 Jan 2026 10:00:00 +0100',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    'Grüße',
    '--b',
    'Content-Type: application/pdf',
    "Content-Disposition: attachment; filename*=UTF-8''%C3%9Cbersicht%202026.pdf",
    'Content-Transfer-Encoding: base64',
    '',
    pdf.toString('base64').replace(/.{76}/g, '$&\r\n'),
    '--b',
    'Content-Type: text/html; name="../../page.html"',
    'Content-Disposition: attachment',
    '',
    '<script>alert(1)</script>',
    '--b',
    'Content-Type: not a type; \u0001',
    'Content-Disposition: attachment; filename="a\\"; x=\\"b.txt"',
    '',
    'odd',
    '--b--',
    '',
  ].join('\r\n'),
);

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe('assets', () => {
  const idOf = async (subject: string) => {
    const found = (await mailroom.assets('corpus')).find((asset) => asset.subject === subject);
    return String(found?.id);
  };

  it('describe the mail', async () => {
    const id = await idOf('Prüfung');
    const { json } = await mailroom.expect(200, 'GET', `/api/assets/${id}`);
    const address = (value: string, name = '') => ({ name, address: value });
    expect(json).toEqual({
      id,
      account: 'corpus',
      folder: 'INBOX',
      sourceId: expect.any(String),
      messageId: '<att@example.org>',
      subject: 'Prüfung',
      from: [address('juergen@example.org', 'Jürgen')],
      to: [address('corpus@example.com'), address('anna@example.com', 'Anna')],
      cc: [address('carl@example.com')],
      replyTo: [address('answers@example.org')],
      date: '2026-01-01T09:00:00.000Z',
      receivedAt: expect.any(String),
      importedAt: expect.any(String),
      size: withAttachments.length,
      sha256: sha256(withAttachments),
      inReplyTo: '<zero@example.org>',
      references: ['<zero@example.org>'],
      text: expect.stringMatching(/^Grüße\s*$/),
      html: null,
      attachments: expect.any(Array),
      bounce: null,
      flags: {
        autoSubmitted: false,
        bounce: false,
        list: false,
        calendar: false,
        encrypted: false,
        signed: false,
        oversize: false,
      },
      defects: expect.any(Array),
      authenticationResults: [],
    });
    expect(json.attachments[0]).toEqual({
      n: 1,
      filename: 'Übersicht 2026.pdf',
      contentType: 'application/pdf',
      size: pdf.length,
      sha256: sha256(pdf),
      contentId: null,
      inline: false,
      path: expect.stringMatching(new RegExp(`^corpus/${id}/attachments/1-`)),
    });
    // A list leaves the bodies out.
    const { text: _, html: __, ...summary } = json;
    const listed = (await mailroom.assets('corpus')).find((asset) => asset.id === id);
    expect(listed).toEqual({ ...summary, attachmentCount: 3 });
  });

  /** What a browser would do with a download. */
  function download(answer: Answer) {
    const { headers, bytes } = answer;
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toBe('sandbox');
    expect(headers.get('content-length')).toBe(String(bytes.length));
    const [, name] =
      /^attachment; filename\*=UTF-8''([\w%.~!$&+^`|-]+)$/.exec(headers.get('content-disposition') ?? '') ?? [];
    return { type: headers.get('content-type'), name: decodeURIComponent(name ?? ''), bytes };
  }

  it('give the mail back, byte for byte', async () => {
    const { bytes, ...rest } = download(await mailroom.expect(200, 'GET', `/api/assets/${await idOf('Prüfung')}/mime`));
    expect(rest).toEqual({ type: 'message/rfc822', name: 'message.eml' });
    expect(bytes.equals(withAttachments)).toBe(true);
  });

  it('give attachments, for saving and never for showing, under a harmless form of their names', async () => {
    const path = `/api/assets/${await idOf('Prüfung')}/attachments`;
    const [first, second, third] = [1, 2, 3].map((n) => mailroom.expect(200, 'GET', `${path}/${n}`).then(download));
    expect(await first).toEqual({ type: 'application/pdf', name: 'Übersicht 2026.pdf', bytes: pdf });
    const page = await second;
    expect(page?.type).toBe('application/octet-stream');
    expect(page?.bytes.toString()).toBe('<script>alert(1)</script>');
    expect(page?.name).toMatch(/page\.html$/);
    expect(page?.name).not.toMatch(/[/\\]/);
    const odd = await third;
    expect(odd?.type).toBe('application/octet-stream');
    expect(odd?.bytes.toString()).toBe('odd');
    expect(odd?.name).not.toMatch(/["\\/]/);
    for (const n of ['0', '4', '-1', '99999999999', '1x']) {
      expect((await mailroom.call('GET', `${path}/${n}`)).status).toBe(404);
    }
    problem(await mailroom.call('GET', `${path}/4`), 404);
  });

  it('answer a range of their bytes, and nothing to who has them already', async () => {
    const id = await idOf('Prüfung');
    for (const path of [`/api/assets/${id}/mime`, `/api/assets/${id}/attachments/1`]) {
      const get = (headers: Record<string, string> = {}) => mailroom.call('GET', path, { headers });
      const whole = await get();
      const etag = whole.headers.get('etag') ?? '';
      expect([whole.status, etag, whole.headers.get('accept-ranges')]).toEqual([
        200,
        `"${sha256(whole.bytes)}"`,
        'bytes',
      ]);
      const size = whole.bytes.length;
      for (const [range, from, to] of [
        ['bytes=0-3', 0, 4],
        ['bytes=5-', 5, size],
        ['bytes=-7', size - 7, size],
      ] as const) {
        const part = await get({ range, 'if-range': etag });
        expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes ${from}-${to - 1}/${size}`]);
        expect(part.bytes.equals(whole.bytes.subarray(from, to))).toBe(true);
      }
      expect((await get({ range: 'bytes=0-3', 'if-range': '"another"' })).status).toBe(200);
      const outside = await get({ range: `bytes=${size}-` });
      problem(outside, 416);
      expect(outside.headers.get('content-range')).toBe(`bytes */${size}`);
      const same = await get({ 'if-none-match': etag });
      expect([same.status, same.bytes.length, same.headers.get('etag')]).toEqual([304, 0, etag]);
    }
  });

  it.each(['x', 'corpus.x', 'corpus.00000000000000000000000000000000', 'Corpus.00000000000000000000', 'a%2Fb'])(
    'no asset %s',
    async (id) => {
      for (const [method, rest] of [
        ['GET', ''],
        ['GET', '/mime'],
        ['GET', '/attachments/1'],
        ['DELETE', ''],
      ] as const) {
        problem(await mailroom.call(method, `/api/assets/${id}${rest}`), 404);
      }
    },
  );

  it('are listed newest first over all accounts, page by page', async () => {
    await mailboxAccount(mailroom, imap, 'lists');
    // Imported by turns, so that the accounts' assets lie between one another.
    for (const [name, subject] of [
      ['lists', 'turn-1'],
      ['corpus', 'turn-2'],
      ['lists', 'turn-3'],
      ['corpus', 'turn-4'],
    ] as const) {
      imap.deliver(name, simpleMail(subject));
      await mailroom.import(name);
    }
    const all = (await mailroom.expect(200, 'GET', '/api/assets?top=1000')).json.items;
    expect(all.slice(0, 4).map(({ subject }: { subject: string }) => subject)).toEqual([
      'turn-4',
      'turn-3',
      'turn-2',
      'turn-1',
    ]);
    const times: string[] = all.map(({ importedAt }: { importedAt: string }) => importedAt);
    expect(times).toEqual([...times].sort().reverse());
    const paged: unknown[] = [];
    for (let token = ''; ; ) {
      const { json } = await mailroom.expect(200, 'GET', `/api/assets?top=3${token}`);
      paged.push(...json.items);
      if (json.continue === undefined) break;
      expect(json.items).toHaveLength(3);
      token = `&continue=${json.continue}`;
    }
    expect(paged).toEqual(all);
    // A page that ends with the last item is the last.
    expect(Object.keys((await mailroom.expect(200, 'GET', `/api/assets?top=${all.length}`)).json)).toEqual(['items']);
    const own = (await mailroom.expect(200, 'GET', '/api/assets?account=lists')).json.items;
    expect(own).toEqual(all.filter((asset: { account: string }) => asset.account === 'lists'));
    expect((await mailroom.expect(200, 'GET', '/api/assets?account=nobody')).json).toEqual({ items: [] });
  });

  it('are listed by the time of their import', async () => {
    const all = (await mailroom.expect(200, 'GET', '/api/assets?top=1000')).json.items;
    const ids = async (query: string) =>
      (await mailroom.expect(200, 'GET', `/api/assets?${query}`)).json.items.map(({ id }: { id: string }) => id);
    const every = all.map(({ id }: { id: string }) => id);
    const { importedAt } = all[2];
    const later = new Date(Date.parse(importedAt) + 1).toISOString();
    const at = (time: string) => all.findIndex((asset: { importedAt: string }) => asset.importedAt < time);
    // At or after `since`, before `until`.
    expect(await ids(`since=${importedAt}`)).toEqual(every.slice(0, at(importedAt)));
    expect(await ids(`until=${importedAt}`)).toEqual(every.slice(at(importedAt)));
    expect(await ids(`since=${importedAt}&until=${later}`)).toEqual(
      all
        .filter((asset: { importedAt: string }) => asset.importedAt === importedAt)
        .map(({ id }: { id: string }) => id),
    );
    const zone = encodeURIComponent(importedAt.replace('Z', '+00:00'));
    expect(await ids(`until=${zone}`)).toEqual(every.slice(at(importedAt)));
    for (const long of ['0001-01-01T00:00:00Z', '1969-12-31T23:59:59Z', '1970-01-01T00:00:00Z']) {
      expect(await ids(`since=${long}`)).toEqual(every);
      expect(await ids(`until=${long}`)).toEqual([]);
    }
    expect(await ids('since=9999-12-31T23:59:59Z')).toEqual([]);
    expect(await ids('until=9999-12-31T23:59:59Z')).toEqual(every);
    const wrong = '/api/assets?account=No&since=yesterday&until=2026-01-01&top=1001&continue=e30';
    expect(problem(await mailroom.call('GET', wrong), 400).pointers).toEqual([
      '/account',
      '/continue',
      '/since',
      '/top',
      '/until',
    ]);
  });

  it('once deleted are gone, and their mails are not imported again', async () => {
    const id = await idOf('one');
    const blobs = async () => (await assetBlobs(mailroom, 'corpus')).filter((name) => name.includes(id));
    expect(await blobs()).toEqual([`corpus/${id}/asset.json`, `corpus/${id}/message.eml`]);
    const deleted = await mailroom.expect(204, 'DELETE', `/api/assets/${id}`);
    expect(deleted.bytes).toHaveLength(0);
    expect(await blobs()).toEqual([]);
    for (const rest of ['', '/mime', '/attachments/1']) {
      problem(await mailroom.call('GET', `/api/assets/${id}${rest}`), 404);
    }
    problem(await mailroom.call('DELETE', `/api/assets/${id}`), 404);
    expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0 });
    expect((await mailroom.assets('corpus')).map(({ subject }) => subject)).not.toContain('one');
    expect(imap.mails('corpus').some(({ bytes }) => bytes.equals(simpleMail('one')))).toBe(true);
  });

  it('outlive their account, and the same mailbox added again imports nothing twice', async () => {
    const before = await mailroom.assets('corpus');
    await mailroom.expect([200, 204], 'DELETE', '/api/accounts/corpus');
    expect(await mailroom.assets('corpus')).toEqual(before);
    expect((await mailroom.expect(200, 'GET', '/api/assets?top=1000')).json.items).toEqual(
      expect.arrayContaining(before),
    );
    await mailroom.expect(200, 'GET', `/api/assets/${before[0].id}/mime`);
    problem(await mailroom.call('POST', '/api/accounts/corpus/import'), 404);
    await mailboxAccount(mailroom, imap, 'corpus');
    expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0 });
    expect(await mailroom.assets('corpus')).toEqual(before);
  });
});
