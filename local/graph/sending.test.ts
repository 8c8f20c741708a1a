import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { colleague, draft, immutable, mail, Stage, user } from './graph.test-support.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.start({
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
