import { Client } from '@microsoft/microsoft-graph-client';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { colleague, draft, immutable, mail, Stage, user } from './graph.test-support.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(() => stage.stop());
afterEach(() => {
  expect(stage.graph.violations).toEqual([]);
  stage.graph.reset();
});

const refused = (status: number, code: string) => ({ status, json: { error: { code } } });

test('the default id changes at every move, the immutable one never, and both are taken', async () => {
  const { id, immutableId } = stage.mailbox.deliver(mail('ids'));
  expect((await stage.get(`messages/${id}?$select=id`)).json.id).toBe(immutableId);
  expect((await stage.get(`messages/${immutableId}?$select=id`, {})).json.id).toBe(id);
  const moved = await stage.call('POST', `messages/${id}/move`, { body: { destinationId: 'DeletedItems' } });
  expect(moved.status).toBe(201);
  expect(moved.json.id).not.toBe(id);
  expect(moved.json.parentFolderId).toBe((await stage.get('mailFolders/deleteditems')).json.id);
  expect(await stage.get(`messages/${id}`)).toMatchObject(refused(404, 'ErrorItemNotFound'));
  expect((await stage.get(`messages/${immutableId}`)).json.id).toBe(immutableId);
  expect((await stage.get(`messages/${moved.json.id}`)).headers.get('preference-applied')).toBe('IdType="ImmutableId"');
});

test('ids are distinguished by letter case', async () => {
  const ids = Array.from({ length: 4 }, (_, n) => stage.mailbox.deliver(mail(`case ${n}`)).immutableId);
  expect(new Set(ids.map((id) => id.toLowerCase())).size).toBeLessThan(4);
  for (const [n, id] of ids.entries()) expect((await stage.get(`messages/${id}`)).json.subject).toBe(`case ${n}`);
});

test('the MIME is the very bytes that came, whatever they are', async () => {
  const every = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  const bytes = Buffer.concat([mail('bytes', ['Content-Type: application/octet-stream', 'X-Raw: caf\xe9']), every]);
  const { immutableId } = stage.mailbox.deliver(bytes);
  const answer = await stage.get(`messages/${immutableId}/$value`);
  expect(answer.headers.get('content-type')).toBe('text/plain');
  expect(answer.bytes.equals(bytes)).toBe(true);
  const rebuilt = Buffer.from('Subject: other\r\n\r\n');
  const { immutableId: second } = stage.mailbox.deliver(bytes, { rebuilt });
  expect((await stage.get(`messages/${second}/$value`)).bytes.equals(rebuilt)).toBe(true);
});

test('a received mail is shown as properties', async () => {
  const bytes = Buffer.from(
    [
      'From: =?utf-8?B?SsO8cmdlbg==?= <j@example.org>',
      `To: "Last, First" <a@example.org>, ${user}`,
      'Cc: group: c@example.org, d@example.org;',
      'Reply-To: reply@example.org',
      'Subject: =?iso-8859-1?Q?Gr=FC=DFe?=',
      'Message-ID: <1@example.org>',
      'Date: Sun, 22 Nov 2026 10:00:00 +0100',
      'Importance: High',
      'Content-Type: multipart/mixed; boundary=a',
      '',
      '--a',
      'Content-Type: multipart/alternative; boundary=b',
      '',
      '--b',
      'Content-Type: text/plain; charset=iso-8859-1',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Gr=FC=DFe =',
      'alle',
      '--b',
      'Content-Type: text/html; charset=utf-8',
      '',
      '<p>Gr\u00fc\u00dfe <b>alle</b></p>',
      '--b--',
      '--a',
      "Content-Disposition: attachment; filename*=utf-8''%C3%BCber.txt",
      'Content-Type: text/plain',
      'Content-Transfer-Encoding: base64',
      '',
      'aGVsbG8=',
      '--a',
      'Content-Type: message/rfc822',
      '',
      'Subject: inner',
      '',
      'inside',
      '--a--',
      '',
    ].join('\r\n'),
  );
  const receivedAt = Date.parse('2026-11-22T09:00:01.900Z');
  const { immutableId: id } = stage.mailbox.deliver(bytes, { receivedAt });
  const { json } = await stage.get(`messages/${id}`);
  expect(json).toMatchObject({
    subject: 'Grüße',
    from: { emailAddress: { name: 'Jürgen', address: 'j@example.org' } },
    toRecipients: [{ emailAddress: { name: 'Last, First' } }, { emailAddress: { address: user } }],
    ccRecipients: [{ emailAddress: { address: 'c@example.org' } }, { emailAddress: { address: 'd@example.org' } }],
    replyTo: [{ emailAddress: { address: 'reply@example.org' } }],
    internetMessageId: '<1@example.org>',
    receivedDateTime: '2026-11-22T09:00:01Z',
    sentDateTime: '2026-11-22T09:00:00Z',
    importance: 'high',
    hasAttachments: true,
    isDraft: false,
    isRead: false,
    body: { contentType: 'html', content: expect.stringContaining('<b>alle</b>') },
    bodyPreview: 'Grüße alle',
  });
  expect(json).not.toHaveProperty('internetMessageHeaders');
  const text = await stage.get(`messages/${id}?$select=body`, { prefer: 'outlook.body-content-type="text"' });
  expect(text.json.body).toEqual({ contentType: 'text', content: 'Grüße alle' });

  const list = await stage.get(`messages/${id}/attachments?$select=id,name,contentType,size`);
  expect(list.json.value).toMatchObject([
    { '@odata.type': '#microsoft.graph.fileAttachment', name: 'über.txt', contentType: 'text/plain', size: 5 },
    { '@odata.type': '#microsoft.graph.itemAttachment', name: 'inner', contentType: null },
  ]);
  const [file, item] = list.json.value;
  expect((await stage.get(`messages/${id}/attachments/${file.id}`)).json.contentBytes).toBe('aGVsbG8=');
  expect((await stage.get(`messages/${id}/attachments/${file.id}/$value`)).bytes.toString()).toBe('hello');
  const inner = await stage.get(`messages/${id}/attachments/${item.id}/$value`);
  expect(inner.bytes.toString()).toBe('Subject: inner\r\n\r\ninside');
  const bytesOnly = await stage.get(`messages/${id}/attachments?$select=contentBytes`);
  expect(bytesOnly).toMatchObject(refused(400, 'RequestBroker--ParseUri'));
});

test('a reference attachment has no content', async () => {
  const { immutableId: id } = stage.mailbox.deliver(mail('reference'));
  stage.mailbox.attachReference(id, 'budget.xlsx');
  const { json } = await stage.get(`messages/${id}/attachments`);
  expect(json.value).toMatchObject([{ '@odata.type': '#microsoft.graph.referenceAttachment', name: 'budget.xlsx' }]);
  expect((await stage.get(`messages/${id}/attachments/${json.value[0].id}/$value`)).status).toBe(405);
});

test('a meeting request is reported by its type', async () => {
  const calendar = 'BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n';
  const { immutableId } = stage.mailbox.deliver(
    mail('meet', ['Content-Type: text/calendar; method=REQUEST'], calendar),
  );
  const { json } = await stage.get(`messages/${immutableId}?$select=subject`);
  expect(json['@odata.type']).toBe('#microsoft.graph.eventMessageRequest');
});

test('read state, categories and flag can be changed on any mail, the rest only on drafts', async () => {
  const { immutableId: id } = stage.mailbox.deliver(mail('patch'));
  const before = (await stage.get(`messages/${id}`)).json;
  const body = { isRead: true, categories: ['Red'], flag: { flagStatus: 'flagged' } };
  const after = await stage.call('PATCH', `messages/${id}`, { body, headers: immutable });
  expect(after).toMatchObject({ status: 200, json: { id, ...body } });
  expect(after.json.changeKey).not.toBe(before.changeKey);
  for (const wrong of [
    { subject: 'x' },
    { body: { contentType: 'text', content: 'x' } },
    { isDraft: true },
    { parentFolderId: 'x' },
  ]) {
    const answer = await stage.call('PATCH', `messages/${id}`, { body: wrong });
    expect(answer).toMatchObject(refused(400, 'ErrorInvalidPropertySet'));
  }
  const stale = { headers: { 'if-match': before['@odata.etag'] }, body: { isRead: false } };
  expect(await stage.call('PATCH', `messages/${id}`, stale)).toMatchObject(refused(412, 'ErrorIrresolvableConflict'));
  expect(await stage.call('PATCH', `messages/${id}`, { ...stale, headers: { 'if-match': '*' } })).toMatchObject({
    status: 200,
  });
});

test('delete goes to the trash, from there to the recoverable items, and there it ends', async () => {
  const { immutableId: id } = stage.mailbox.deliver(mail('delete'));
  const remove = () => stage.call('DELETE', `messages/${id}`);
  expect((await remove()).status).toBe(204);
  expect(stage.mailbox.mail(id)?.folder).toBe('Deleted Items');
  expect((await remove()).status).toBe(204);
  expect(stage.mailbox.mail(id)?.folder).toBe('Deletions');
  expect(await remove()).toMatchObject(refused(403, 'ErrorCannotDeleteObject'));
});

test('permanentDelete leaves nothing that a client can see', async () => {
  const { immutableId: id } = stage.mailbox.deliver(mail('purge'));
  expect((await stage.call('POST', `messages/${id}/permanentDelete`)).status).toBe(204);
  expect(await stage.get(`messages/${id}`)).toMatchObject(refused(404, 'ErrorItemNotFound'));
  expect(await stage.call('POST', `messages/${id}/permanentDelete`)).toMatchObject(refused(404, 'ErrorItemNotFound'));
  expect(stage.mailbox.purged().map((one) => one.immutableId)).toContain(id);
});

test('a mailbox does not know the ids of another', async () => {
  const { immutableId } = stage.graph.mailbox(colleague).deliver(mail('theirs'));
  expect(await stage.get(`messages/${immutableId}`)).toMatchObject(refused(404, 'ErrorItemNotFound'));
});

test('a list is paged, filtered and ordered', async () => {
  const folder = 'Paging';
  for (let n = 0; n < 12; n++) {
    stage.mailbox.deliver(mail(`page ${n}`), { folder, receivedAt: Date.parse('2026-11-22T10:00:00Z') + n * 1000 });
  }
  const { id } = stage.mailbox.createFolder(folder);
  const first = await stage.get(`mailFolders/${id}/messages?$select=subject&$count=true`);
  expect(first.json['@odata.count']).toBe(12);
  expect(first.json.value).toHaveLength(10);
  expect(first.json.value[0].subject).toBe('page 11');
  expect(Object.keys(first.json.value[0]).sort()).toEqual(['@odata.etag', 'id', 'subject']);
  const second = await stage.get(first.json['@odata.nextLink']);
  expect(second.json.value.map((one: { subject: string }) => one.subject)).toEqual(['page 1', 'page 0']);
  expect(second.json).not.toHaveProperty('@odata.nextLink');

  const list = async (query: Record<string, string>) => {
    const answer = await stage.get(`mailFolders/${id}/messages?${new URLSearchParams(query)}`);
    return answer.json.value?.map((one: { subject: string }) => one.subject) ?? answer.json.error.code;
  };
  const $filter = 'receivedDateTime ge 2026-11-22T10:00:10Z';
  expect(await list({ $filter })).toEqual(['page 11', 'page 10']);
  expect(await list({ $filter, $orderby: 'receivedDateTime asc' })).toEqual(['page 10', 'page 11']);
  expect(await list({ $filter, $orderby: 'subject' })).toBe('InefficientFilter');
  expect(await list({ $filter: "internetMessageId eq '<page3@example.org>'" })).toEqual(['page 3']);
  expect(await list({ $filter: "subject eq 'page 3' or (isRead eq true and not isDraft eq true)" })).toEqual([
    'page 3',
  ]);
  expect(await list({ $filter: 'receivedDateTime near now' })).toBe('RequestBroker--ParseUri');
});

test('extended properties are written, found, and answered in the form of Exchange', async () => {
  const name = 'String {66F5A359-4659-4830-9070-00047EC6AC6E} Name SendKey';
  const single = [
    { id: name, value: "it's 1" },
    { id: 'String 0x1042', value: '<parent@example.org>' },
  ];
  const made = await stage.call('POST', 'messages', {
    body: draft('extended', { singleValueExtendedProperties: single }),
    headers: immutable,
  });
  expect(made.status).toBe(201);
  const $filter = `singleValueExtendedProperties/Any(ep: ep/id eq '${name}' and ep/value eq 'it''s 1')`;
  const $expand = `singleValueExtendedProperties($filter=id eq '${name}' or id eq 'Integer 0x0E08')`;
  const read = await stage.get(`messages/${made.json.id}?${new URLSearchParams({ $expand, $select: 'id' })}`);
  expect(read.json.singleValueExtendedProperties).toEqual([
    { id: 'String {66f5a359-4659-4830-9070-00047ec6ac6e} Name SendKey', value: "it's 1" },
    { id: 'Integer 0xe08', value: expect.stringMatching(/^\d+$/) },
  ]);
  expect((await stage.get(`messages/${made.json.id}/$value`)).bytes.toString()).toContain(
    'In-Reply-To: <parent@example.org>',
  );
  const lower = $filter.replace(
    name,
    name.replace(/\{.*\}/, (guid) => guid.toLowerCase()),
  );
  const header =
    "singleValueExtendedProperties/any(p: p/value eq '<parent@example.org>' and p/id eq 'String 0x00001042')";
  for (const one of [$filter, lower, header]) {
    const list = await stage.get(`mailFolders/drafts/messages?${new URLSearchParams({ $filter: one })}`);
    expect(list.json.value.map(({ id }: { id: string }) => id)).toEqual([made.json.id]);
  }
});

test('folders are listed with their children, made, and named in any language', async () => {
  const roots = await stage.get('mailFolders?$top=100&$select=displayName');
  expect(roots.json.value.map((one: { displayName: string }) => one.displayName)).toEqual(
    expect.arrayContaining(['Inbox', 'Sent Items', 'Deleted Items', 'Drafts']),
  );
  const made = await stage.call('POST', 'mailFolders/inbox/childFolders', { body: { displayName: 'A/B' } });
  expect(made.status).toBe(201);
  const again = await stage.call('POST', 'mailFolders/inbox/childFolders', { body: { displayName: 'a/b' } });
  expect(again).toMatchObject(refused(409, 'ErrorFolderExists'));
  const $filter = "displayName eq 'A/B'";
  const children = await stage.get(`mailFolders/inbox/childFolders?${new URLSearchParams({ $filter })}`);
  expect(children.json.value).toMatchObject([{ id: made.json.id, displayName: 'A/B', totalItemCount: 0 }]);
  for (let n = 0; n < 11; n++)
    await stage.call('POST', `mailFolders/${made.json.id}/childFolders`, { body: { displayName: `${n}` } });
  const first = await stage.get(`mailFolders/${made.json.id}/childFolders`);
  expect(first.json.value).toHaveLength(10);
  expect((await stage.get(first.json['@odata.nextLink'])).json.value).toMatchObject([{ displayName: '10' }]);

  const german = stage.graph.addMailbox({ userPrincipalName: 'de@example.com', folderNames: { inbox: 'Posteingang' } });
  const inbox = await stage.get(`/users/${german.userPrincipalName}/mailFolders/inbox`);
  expect(inbox.json.displayName).toBe('Posteingang');
});

test("Microsoft's own client works with it", async () => {
  const { immutableId } = stage.mailbox.deliver(mail('client'));
  const client = Client.init({
    baseUrl: stage.graph.endpoint,
    defaultVersion: 'v1.0',
    customHosts: new Set(['localhost']),
    authProvider: (done) => done(null, stage.token),
  });
  const path = `/users/${user}/messages/${immutableId}`;
  const headers = { ...immutable, 'Accept-Language': 'en-US' };
  const got = await client.api(path).headers(headers).select(['id', 'subject']).get();
  expect(got).toMatchObject({ id: immutableId, subject: 'client' });
  await client.api(path).headers(headers).patch({ isRead: true });
  expect(stage.mailbox.mail(immutableId)?.isRead).toBe(true);
  await expect(client.api(path.replace('/AAk', '/AAm')).headers(headers).get()).rejects.toMatchObject({
    statusCode: 404,
    code: 'ErrorItemNotFound',
  });
});
