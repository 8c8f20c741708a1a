import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { draft, mail, Stage, user } from './graph.test-support.ts';

let stage: Stage;
let clock = 0;

beforeAll(async () => {
  stage = await Stage.start({
    now: () => Date.now() + clock,
    mailboxes: [
      { userPrincipalName: user, userId: 'AAAAAAAA-1111-4111-8111-111111111111', displayName: 'Corpus' },
      { userPrincipalName: 'away@example.com', enabled: false },
    ],
  });
});
afterAll(() => stage.stop());
afterEach(() => {
  clock = 0;
  stage.graph.reset();
});

const refused = (status: number, code: string) => ({ status, json: { error: { code } } });

test('an error has the shape of Graph, with the ids of the request', async () => {
  const id = 'dddddddd-1111-4111-8111-111111111111';
  const answer = await stage.call('GET', 'mailFolders/inbox', { token: null, headers: { 'client-request-id': id } });
  expect(answer.status).toBe(401);
  expect(answer.json).toEqual({
    error: {
      code: 'InvalidAuthenticationToken',
      message: expect.any(String),
      innerError: {
        date: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/),
        'request-id': answer.headers.get('request-id'),
        'client-request-id': id,
      },
    },
  });
  expect(answer.headers.get('client-request-id')).toBe(id);
  expect(stage.graph.requests).toEqual([
    {
      method: 'GET',
      route: '/users/{user-id}/mailFolders/{mailFolder-id}',
      user,
      status: 401,
      code: 'InvalidAuthenticationToken',
      hadToken: false,
      at: expect.any(Number),
    },
  ]);
});

test('tokens of another audience, of nobody, or too old are refused', async () => {
  const ask = (token: string) => stage.call('GET', 'mailFolders/inbox', { token });
  const vault = await stage.tokenOf(['Mail.Read'], { resource: 'https://vault.azure.net' });
  expect(await ask(vault)).toMatchObject(refused(401, 'InvalidAuthenticationToken'));
  expect(await ask('not.a.token')).toMatchObject(refused(401, 'InvalidAuthenticationToken'));
  const [head, claims] = stage.token.split('.');
  expect(await ask(`${head}.${claims}.AAAA`)).toMatchObject(refused(401, 'InvalidAuthenticationToken'));
  expect(await ask(stage.token)).toMatchObject({ status: 200 });
  clock = 3_600_000;
  expect(await ask(stage.token)).toMatchObject(refused(401, 'InvalidAuthenticationToken'));
});

test('each permission opens what Microsoft says it opens, and no more', async () => {
  const { immutableId: id } = stage.mailbox.deliver(mail('permission'));
  const [none, read, send, write] = await Promise.all(
    [[], ['Mail.Read'], ['Mail.Send'], ['Mail.ReadWrite']].map((one) => stage.tokenOf(one)),
  );
  const status = async (token: string | undefined, method: string, path: string, body?: unknown) =>
    (await stage.call(method, path, { token: token ?? null, ...(body ? { body } : {}) })).status;
  expect(await status(none, 'GET', `messages/${id}`)).toBe(403);
  expect(await status(read, 'GET', `messages/${id}`)).toBe(200);
  expect(await status(read, 'GET', `messages/${id}/$value`)).toBe(200);
  expect(await status(read, 'PATCH', `messages/${id}`, { isRead: true })).toBe(403);
  expect(await status(read, 'POST', 'messages', draft('x'))).toBe(403);
  expect(await status(read, 'POST', 'sendMail', { message: draft('x') })).toBe(403);
  expect(await status(send, 'GET', `messages/${id}`)).toBe(403);
  expect(await status(send, 'POST', 'messages', draft('x'))).toBe(403);
  expect(await status(send, 'POST', 'sendMail', { message: draft('x') })).toBe(202);
  expect(await status(write, 'PATCH', `messages/${id}`, { isRead: true })).toBe(200);
  expect(await status(write, 'POST', 'sendMail', { message: draft('x') })).toBe(403);
  expect(await status(write, 'POST', `messages/${id}/permanentDelete`)).toBe(204);
  const denied = await stage.call('GET', 'mailFolders', { token: none ?? null });
  expect(denied).toMatchObject(refused(403, 'ErrorAccessDenied'));
  expect(stage.graph.violations).toEqual([]);
});

test.each([
  ['an id that is none', 'messages/inbox', 400, 'ErrorInvalidIdMalformed'],
  ['an id that nothing has', `messages/AAMk${'x'.repeat(60)}=`, 404, 'ErrorItemNotFound'],
  ['a folder that is none', 'mailFolders/nonesuch', 400, 'ErrorInvalidIdMalformed'],
  ['a folder that is gone', `mailFolders/AAMk${'x'.repeat(60)}=`, 404, 'ErrorItemNotFound'],
  ['an unknown name', '/users/nobody@example.com/mailFolders', 404, 'ErrorInvalidUser'],
  ['an unknown user id', '/users/cccccccc-1111-4111-8111-111111111111/mailFolders', 404, 'ResourceNotFound'],
  ['a user without a mailbox', '/users/away@example.com/mailFolders', 404, 'MailboxNotEnabledForRESTAPI'],
  ['a property that messages do not have', 'mailFolders/inbox/messages?$select=sujet', 400, 'RequestBroker--ParseUri'],
])('%s is refused', async (_, path, status, code) => {
  expect(await stage.get(path)).toMatchObject(refused(status, code));
});

test('users are found by id and name in any letter case', async () => {
  for (const one of ['CORPUS@Example.COM', 'aaaaaaaa-1111-4111-8111-111111111111']) {
    expect(await stage.get(`/users/${one}/mailFolders/inbox`)).toMatchObject({ status: 200 });
    expect(await stage.get(`/users('${one}')/mailfolders('InBox')`)).toMatchObject({ status: 200 });
  }
});

test('a language that is none is refused, a usual one is not', async () => {
  const ask = (language: string) => stage.get('mailFolders/inbox', { 'accept-language': language });
  expect(await ask('*')).toMatchObject({ status: 400, json: { error: { message: 'Invalid language specified.' } } });
  expect(await ask('de-DE, en;q=0.8')).toMatchObject({ status: 200 });
});

test.each([
  ['an unknown path', 'GET', 'calendars', undefined],
  ['a method that a path does not have', 'DELETE', 'mailFolders/inbox', undefined],
  ['an unknown query option', 'GET', 'mailFolders/inbox/messages?$selct=id', undefined],
  ['a page that is too large', 'GET', 'mailFolders/inbox/messages?$top=1001', undefined],
  ['a property that a message does not have', 'POST', 'messages', { subjekt: 'x' }],
  ['a recipient that is a string', 'POST', 'messages', { toRecipients: ['bob@example.net'] }],
  ['a file without its type', 'POST', 'messages', { attachments: [{ name: 'a', contentBytes: 'YQ==' }] }],
  [
    'content that is no base64',
    'POST',
    'messages',
    {
      attachments: [{ '@odata.type': '#microsoft.graph.fileAttachment', name: 'a', contentBytes: 'Y' }],
    },
  ],
  ['an action without its parameter', 'POST', 'sendMail', { mesage: {} }],
])('%s is refused and counted as a violation', async (_, method, path, body) => {
  const answer = await stage.call(method, path, body ? { body } : {});
  expect(answer.status === 400 || answer.status === 405).toBe(true);
  expect(stage.graph.violations).toEqual([
    { of: 'request', method, route: expect.any(String), problems: expect.any(Array) },
  ]);
});

test('a misspelt preference, which Graph would pass over, is a violation', async () => {
  for (const prefer of ['IdType="Immutable"', 'odata.maxpagesizes=5', 'odata.maxpagesize=many']) {
    stage.graph.reset();
    expect((await stage.get('mailFolders/inbox/messages', { prefer })).status).toBe(400);
    expect(stage.graph.violations).toHaveLength(1);
  }
});

test('what Graph itself takes in any letter case is taken', async () => {
  const message = { ...draft('case'), body: { contentType: 'HTML', content: '<p>x' }, importance: 'High' };
  const body = { Message: message, SaveToSentItems: false };
  expect(await stage.call('POST', 'sendMail', { body })).toMatchObject({ status: 202 });
  expect(stage.graph.violations).toEqual([]);
  expect(stage.graph.sent(user)[0]?.bytes().toString()).toContain('Content-Type: text/html');
});

test('a request over 4 MB is answered with 413', async () => {
  const content = 'x'.repeat(4 * 1024 * 1024);
  const answer = await stage.call('POST', 'messages', { body: { body: { contentType: 'text', content } } });
  expect(answer).toMatchObject(refused(413, 'RequestEntityTooLarge'));
});

test('the fifth request at once on a mailbox is throttled, another app is not', async () => {
  const { immutableId: id } = stage.mailbox.deliver(mail('slow', [], 'x'.repeat(2000)));
  const stop = new AbortController();
  stage.graph.faults.add({ route: '/$value', times: 4, fault: { kind: 'slowBody', bytesPerSecond: 100 } });
  const slow = Array.from({ length: 4 }, () =>
    stage.call('GET', `messages/${id}/$value`, { signal: stop.signal }).catch(() => undefined),
  );
  await expect.poll(() => stage.graph.requests.filter((one) => one.route.endsWith('$value')).length).toBe(4);
  await expect.poll(async () => (await stage.get('mailFolders/inbox')).status).toBe(429);
  const fifth = await stage.get('mailFolders/inbox');
  expect(fifth).toMatchObject(refused(429, 'ApplicationThrottled'));
  expect(fifth.headers.get('retry-after')).toBe('1');
  const other = await stage.tokenOf(['Mail.Read'], { clientId: '33333333-3333-4333-8333-333333333333' });
  expect(await stage.call('GET', 'mailFolders/inbox', { token: other })).toMatchObject({ status: 200 });
  expect(stage.graph.peakConcurrency).toBe(4);
  stop.abort();
  await Promise.all(slow);
  await expect.poll(async () => (await stage.get('mailFolders/inbox')).status).toBe(200);
});
