import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { colleague, draft, immutable, mail, Stage, user } from './graph.test-support.ts';

let stage: Stage;
let clock = 0;

beforeAll(async () => {
  stage = await Stage.start({
    now: () => Date.now() + clock,
    mailboxes: [
      {
        userPrincipalName: user,
        displayName: 'Corpus',
        aliases: ['press@example.com'],
        sendAs: ['shared@example.com'],
        maxMessageSize: 250 * 1024 * 1024,
      },
      { userPrincipalName: colleague },
    ],
  });
});
afterAll(() => stage.stop());
afterEach(() => {
  clock = 0;
  expect(stage.graph.violations).toEqual([]);
  stage.graph.reset();
});

const refused = (status: number, code: string) => ({ status, json: { error: { code } } });
const post = (path: string, body: unknown) => stage.call('POST', path, { body, headers: immutable });
const sent = () => stage.graph.sent(user).at(-1);
const to = (address: string) => [{ emailAddress: { address } }];

test('a draft keeps its immutable id when it is sent', async () => {
  const made = await post('messages', draft('keeps', { bccRecipients: to('secret@example.net') }));
  expect(made).toMatchObject({ status: 201, json: { isDraft: true, subject: 'keeps' } });
  expect(made.headers.get('location')).toContain(encodeURIComponent(made.json.id));
  const answer = await stage.call('POST', `messages/${made.json.id}/send`);
  expect(answer).toMatchObject({ status: 202, bytes: Buffer.alloc(0) });
  const copy = await stage.get(`messages/${made.json.id}?$select=isDraft,parentFolderId,bccRecipients`);
  expect(copy.json).toMatchObject({ id: made.json.id, isDraft: false, bccRecipients: to('secret@example.net') });
  expect(copy.json.parentFolderId).toBe((await stage.get('mailFolders/sentitems')).json.id);
  expect(sent()).toMatchObject({
    via: 'send',
    form: 'properties',
    user,
    from: { address: user },
    recipients: ['bob@example.net', 'secret@example.net'],
    immutableId: made.json.id,
  });
  expect(sent()?.bytes().toString()).not.toContain('secret@');
  expect(await stage.call('POST', `messages/${made.json.id}/send`)).toMatchObject({ status: 400 });
});

test('MIME keeps its bytes, loses its Bcc and what Exchange takes away', async () => {
  const bytes = Buffer.from(
    [
      'Received: from nowhere',
      `From: "Old Name" <${user}>`,
      'To: bob@example.net',
      'Bcc: Hidden <hidden@example.net>',
      'Reply-To: answers@example.com',
      'Subject: mime',
      'Message-ID: <mime-1@example.com>',
      'In-Reply-To: <parent@example.com>',
      'X-Custom: 1',
      'X-Known: 2',
      'X-Priority: 1',
      'Auto-Submitted: auto-generated',
      'Content-Type: text/plain; charset=iso-8859-1',
      'Content-Transfer-Encoding: 8bit',
      '',
      'caf\xe9\r\n',
    ].join('\r\n'),
    'latin1',
  );
  const known = draft('registers', { internetMessageHeaders: [{ name: 'X-Known', value: 'y' }] });
  expect((await post('sendMail', { message: known })).status).toBe(202);
  expect((await stage.call('POST', 'sendMail', { mime: bytes })).status).toBe(202);
  const kept = bytes.toString('latin1').replace(/(Received|Bcc|X-Custom|Auto-Submitted): .*\r\n/g, '');
  expect(sent()?.bytes().toString('latin1')).toBe(kept);
  expect(sent()?.handedIn?.equals(bytes)).toBe(true);
  expect(sent()).toMatchObject({ form: 'mime', via: 'sendMail', messageId: '<mime-1@example.com>' });
  expect(sent()?.recipients).toEqual(['bob@example.net', 'hidden@example.net']);
  expect(
    stage.mailbox
      .mail(sent()?.immutableId ?? '')
      ?.bytes()
      .toString(),
  ).toContain('Bcc: Hidden');
});

test('the From of MIME is ignored; a PATCH sets it, for those who may', async () => {
  const bytes = mail('from').toString().replace('alice@example.org', 'shared@example.com');
  const made = await stage.call('POST', 'messages', { mime: bytes, headers: immutable });
  expect(made.json.from).toEqual({ emailAddress: { name: 'Corpus', address: user } });
  const shared = { from: { emailAddress: { address: 'shared@example.com', name: 'Shared' } } };
  expect((await stage.call('PATCH', `messages/${made.json.id}`, { body: shared })).status).toBe(200);
  expect((await stage.call('POST', `messages/${made.json.id}/send`)).status).toBe(202);
  expect(sent()?.from).toEqual({ address: 'shared@example.com', name: 'Shared' });
  expect(
    sent()
      ?.bytes()
      .toString()
      .match(/^From: .*$/gm),
  ).toEqual(['From: "Shared" <shared@example.com>']);

  const other = draft('denied', { from: { emailAddress: { address: 'boss@example.com' } } });
  expect(await post('sendMail', { message: other })).toMatchObject(refused(403, 'ErrorSendAsDenied'));
  expect(stage.mailbox.mails('drafts')).toEqual([]);
  const alias = draft('alias', { from: { emailAddress: { address: 'Press@example.com' } } });
  expect((await post('sendMail', { message: alias })).status).toBe(202);
});

test('an unsent copy is kept unless it is not wanted', async () => {
  const before = stage.mailbox.mails('sentitems').length;
  await post('sendMail', { message: draft('kept') });
  await post('sendMail', { message: draft('not kept'), saveToSentItems: false });
  expect(stage.mailbox.mails('sentitems').length - before).toBe(1);
  expect(sent()).toMatchObject({ subject: 'not kept', immutableId: undefined });
});

test('mail to a mailbox that is here arrives there', async () => {
  const message = {
    ...draft('inside'),
    toRecipients: to(colleague.toLowerCase()),
    ccRecipients: to('press@example.com'),
  };
  await post('sendMail', { message });
  const arrived = stage.graph.mailbox(colleague).mails('inbox');
  expect(arrived).toMatchObject([{ subject: 'inside', isRead: false, isDraft: false }]);
  expect(arrived[0]?.bytes().equals(sent()?.bytes() ?? Buffer.alloc(0))).toBe(true);
  expect(arrived[0]?.messageId).toBe(sent()?.messageId);
  expect(stage.mailbox.mails('inbox').at(-1)?.subject).toBe('inside');
});

test.each([
  ['no recipient', { toRecipients: [] }, 400, 'ErrorInvalidRecipients'],
  ['a recipient that is none', { toRecipients: to('nobody') }, 400, 'ErrorInvalidRecipients'],
  [
    'a header without x-',
    { internetMessageHeaders: [{ name: 'In-Reply-To', value: '<a@b>' }] },
    400,
    'InvalidInternetMessageHeader',
  ],
  [
    'six headers',
    { internetMessageHeaders: Array.from({ length: 6 }, (_, n) => ({ name: `x-${n}`, value: '1' })) },
    400,
    'InvalidInternetMessageHeaderCollection',
  ],
  ['a property of the service', { receivedDateTime: '2026-01-01T00:00:00Z' }, 400, 'ErrorInvalidPropertySet'],
])('%s is refused', async (_, more, status, code) => {
  expect(await post('sendMail', { message: draft('refused', more) })).toMatchObject(refused(status, code));
  expect(stage.graph.sent(user)).toEqual([]);
});

test('MIME that is no base64, or no message, is refused', async () => {
  const raw = (bytes: string) => stage.call('POST', 'sendMail', { raw: { type: 'text/plain', bytes } });
  const quoted = JSON.stringify(mail('x').toString('base64'));
  expect(await raw(quoted)).toMatchObject(refused(400, 'ErrorMimeContentInvalidBase64String'));
  expect(await raw('AAA')).toMatchObject(refused(400, 'ErrorMimeContentInvalidBase64String'));
  expect(await raw('')).toMatchObject(refused(400, 'ErrorMimeContentInvalid'));
  const folded = mail('folded').toString('base64').replace(/.{76}/g, '$&\r\n');
  expect((await raw(folded)).status).toBe(202);
});

test('a message of properties becomes MIME with one body, attachments and headers', async () => {
  const file = (name: string, more: object = {}) => ({
    '@odata.type': '#microsoft.graph.fileAttachment',
    name,
    contentType: 'text/plain',
    contentBytes: Buffer.from(`content of ${name}`).toString('base64'),
    ...more,
  });
  const made = await post(
    'messages',
    draft('Grüße', {
      body: { contentType: 'html', content: '<img src="cid:logo">' },
      replyTo: to('answers@example.com'),
      internetMessageHeaders: [{ name: 'x-mailroom', value: 'wär' }],
      internetMessageId: '<own@example.com>',
      attachments: [file('logo', { isInline: true, contentId: 'logo' })],
    }),
  );
  const added = await post(`messages/${made.json.id}/attachments`, file('über.txt'));
  expect(added).toMatchObject({ status: 201 });
  const removed = await post(`messages/${made.json.id}/attachments`, file('gone.txt'));
  expect((await stage.call('DELETE', `messages/${made.json.id}/attachments/${removed.json.id}`)).status).toBe(204);
  await stage.call('POST', `messages/${made.json.id}/send`);
  const text = sent()?.bytes().toString() ?? '';
  expect(text).toMatch(/^Message-ID: <own@example\.com>\r$/m);
  expect(text).toMatch(/^Reply-To: <answers@example\.com>\r$/m);
  expect(text).toMatch(/^x-mailroom: =\?UTF-8\?B\?/m);
  const again = stage.graph.mailbox(colleague).deliver(Buffer.from(text));
  const { json } = await stage.get(`/users/${colleague}/messages/${again.immutableId}?$expand=attachments`);
  expect(json).toMatchObject({
    subject: 'Grüße',
    body: { contentType: 'html', content: '<img src="cid:logo">' },
    attachments: [
      { name: 'logo', isInline: true, contentId: 'logo', contentBytes: file('logo').contentBytes },
      { name: 'über.txt', isInline: false, contentBytes: file('über.txt').contentBytes },
    ],
  });
});

test('an attachment of 3 MB is not posted', async () => {
  const made = await post('messages', draft('large'));
  const attach = (size: number) =>
    post(`messages/${made.json.id}/attachments`, {
      '@odata.type': '#microsoft.graph.fileAttachment',
      name: 'a',
      contentBytes: Buffer.alloc(size).toString('base64'),
    });
  expect((await attach(3 * 1024 * 1024 - 1024)).status).toBe(201);
  expect(await attach(3 * 1024 * 1024)).toMatchObject(refused(413, 'RequestEntityTooLarge'));
});

/** Asks for a session. */
const session = (id: string, size: number, more: object = {}) =>
  post(`messages/${id}/attachments/createUploadSession`, {
    AttachmentItem: { attachmentType: 'file', name: 'large.bin', size, ...more },
  });

/** Uploads one range. */
function put(url: string, bytes: Buffer, start: number, total: number, headers: Record<string, string> = {}) {
  return stage.call('PUT', url, {
    token: null,
    raw: { type: 'application/octet-stream', bytes },
    headers: { 'content-range': `bytes ${start}-${start + bytes.length - 1}/${total}`, ...headers },
  });
}

test('a large attachment is uploaded in ranges, into a MIME draft too', async () => {
  const bytes = Buffer.alloc(7_000_001, 'mailroom');
  const alternative = ['MIME-Version: 1.0', 'Content-Type: multipart/alternative; boundary=x'];
  const body = '--x\r\n\r\ntext\r\n--x\r\nContent-Type: text/html\r\n\r\n<b>html</b>\r\n--x--\r\n';
  const mixed = ['Content-Type: multipart/mixed; boundary=m'];
  const inMixed = `--m\r\n${alternative[1]}\r\n\r\n${body}\r\n--m--\r\n`;
  for (const mime of [mail('alternative', alternative, body), mail('mixed', mixed, inMixed)]) {
    const made = await stage.call('POST', 'messages', { mime, headers: immutable });
    const opened = await session(made.json.id, bytes.length, { isInline: false, contentType: 'application/x-large' });
    expect(opened).toMatchObject({ status: 201, json: { nextExpectedRanges: ['0-'] } });
    const { uploadUrl } = opened.json;
    expect(new URL(uploadUrl).host).not.toBe(new URL(stage.graph.endpoint).host);
    const half = 4 * 1024 * 1024;
    const first = await put(uploadUrl, bytes.subarray(0, half), 0, bytes.length);
    expect(first).toMatchObject({ status: 200, json: { nextExpectedRanges: [String(half)] } });
    const last = await put(uploadUrl, bytes.subarray(half), half, bytes.length);
    expect(last).toMatchObject({ status: 201, bytes: Buffer.alloc(0) });
    expect(last.headers.get('location')).toMatch(/\/Attachments\('.+'\)$/);
    expect((await stage.call('POST', `messages/${made.json.id}/send`)).status).toBe(202);
    const arrived = stage.graph.mailbox(colleague).deliver(sent()?.bytes() ?? Buffer.alloc(0));
    const path = `/users/${colleague}/messages/${arrived.immutableId}`;
    const got = await stage.get(`${path}/attachments?$select=name,contentType,size`);
    expect(got.json.value).toMatchObject([
      { name: 'large.bin', contentType: 'application/x-large', size: bytes.length },
    ]);
    const content = await stage.get(`${path}/attachments/${got.json.value[0].id}/$value`);
    expect(content.bytes.equals(bytes)).toBe(true);
    expect((await stage.get(`${path}?$select=body`)).json.body.content).toBe('<b>html</b>');
    const text = await stage.get(`${path}?$select=body`, { prefer: 'outlook.body-content-type="text"' });
    expect(text.json.body.content).toBe('text');
  }
});

test('upload sessions have their rules', async () => {
  const { json } = await post('messages', draft('rules'));
  const total = 5_000_000;
  expect(await session(json.id, 2_999_999)).toMatchObject(
    refused(400, 'ErrorAttachmentSizeShouldNotBeLessThanMinimumSize'),
  );
  expect(await session(json.id, 151 * 1024 * 1024)).toMatchObject(refused(400, 'ErrorAttachmentSizeLimitExceeded'));
  const { uploadUrl } = (await session(json.id, total)).json;
  const chunk = Buffer.alloc(1000);
  expect((await put(uploadUrl, chunk, 0, total, { authorization: `Bearer ${stage.token}` })).status).toBe(401);
  expect(stage.graph.leaks).toHaveLength(1);
  expect((await put(uploadUrl, chunk, 1000, total)).status).toBe(416);
  expect((await put(uploadUrl, chunk, 0, total + 1)).status).toBe(400);
  expect((await put(uploadUrl, chunk, 0, total, { 'content-range': 'bytes 0-1/5000000' })).status).toBe(400);
  expect((await put(uploadUrl, Buffer.alloc(4 * 1024 * 1024 + 1), 0, total)).status).toBe(413);
  expect((await put(uploadUrl, chunk, 0, total)).status).toBe(200);
  expect((await put(uploadUrl, chunk, 0, total)).status).toBe(416);
  clock = 3_600_001;
  expect((await put(uploadUrl, chunk, 1000, total)).status).toBe(401);
  clock = 0;
  const other = (await session(json.id, total)).json.uploadUrl;
  expect((await stage.call('DELETE', other, { token: null })).status).toBe(204);
  expect((await put(other, chunk, 0, total)).status).toBe(404);
  expect(stage.graph.requests.filter((one) => one.route === 'uploadUrl' && one.user === user).length).toBeGreaterThan(
    5,
  );
});

test('a message over the size of the mailbox is refused when it is sent', async () => {
  const small = stage.graph.addMailbox({ userPrincipalName: 'small@example.com', maxMessageSize: 1000 });
  const body = { message: draft('size', { body: { contentType: 'text', content: 'x'.repeat(2000) } }) };
  const answer = await stage.call('POST', `/users/${small.userPrincipalName}/sendMail`, { body });
  expect(answer).toMatchObject(refused(400, 'ErrorMessageSizeExceeded'));
});

test('a draft can be changed until it is sent', async () => {
  const made = await stage.call('POST', 'messages', { mime: mail('before'), headers: immutable });
  const id = made.json.id;
  const change = {
    subject: 'after',
    toRecipients: to('new@example.net'),
    body: { contentType: 'text', content: 'changed' },
  };
  expect((await stage.call('PATCH', `messages/${id}`, { body: change })).json).toMatchObject(change);
  const replaced = await stage.call('PUT', `messages/${id}/$value`, { mime: mail('replaced') });
  expect(replaced).toMatchObject({ status: 200, json: { subject: 'replaced', isDraft: true } });
  await stage.call('POST', `messages/${id}/send`);
  expect(sent()).toMatchObject({ subject: 'replaced', recipients: [user] });
  const patched = await stage.call('PATCH', `messages/${id}`, { body: { subject: 'late' } });
  expect(patched).toMatchObject(refused(400, 'ErrorInvalidPropertySet'));
});
