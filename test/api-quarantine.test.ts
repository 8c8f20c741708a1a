import { createHash } from 'node:crypto';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { inboxRows } from './support/audit.ts';
import { mailboxAccount, passwordOf, simpleMail } from './support/mailbox-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import {
  becomeReadable,
  blankMail,
  changeRow,
  quarantineAll,
  quarantineBlobs,
  quarantineKeys,
} from './support/quarantine.ts';
import { type ScriptedImap, startScriptedImap } from './support/scripted-imap.ts';
import { scriptedImapMailbox } from './support/scripted-imap-mailbox.ts';
import { serverAccount } from './support/server-account.ts';

const hourMs = 3_600_000;
const users = ['corpus', 'other'];
const howMany = 4;

let mailroom: Mailroom;
let imap: ImapMailbox;
let server: ScriptedImap;

/** A mail whose server gives blanks first, as many as it has bytes. */
const given = simpleMail('given at last');
const scripted = scriptedImapMailbox({ uid: 1, bytes: blankMail(given.length - 4) });

beforeAll(async () => {
  [mailroom, imap] = await Promise.all([
    Mailroom.start(),
    startImapMailbox({ accounts: users.map((user) => ({ user, password: passwordOf(user) })) }),
  ]);
  for (let n = 1; n <= howMany; n += 1) imap.deliver('corpus', blankMail(n));
  imap.deliver('corpus', simpleMail('good'));
  imap.deliver('other', blankMail(9));
  for (const user of users) await mailboxAccount(mailroom, imap, user, { delete: 'immediately' });
  server = await startScriptedImap(scripted.script);
  await serverAccount(mailroom, 'refusing', {
    ports: { imap: server.port },
    users: { tester: 'the password of tester' },
  });
  await quarantineAll(mailroom, [...users, 'refusing']);
}, 240_000);

afterAll(async () => {
  await mailroom?.stop();
  await imap?.stop();
  await server?.stop();
});

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function list(query = '') {
  return (await mailroom.expect(200, 'GET', `/api/quarantine${query}`)).json;
}

/** Types of the events about a mail, in the order of the queue. */
async function eventsOf(id: string): Promise<string[]> {
  const queue = QueueServiceClient.fromConnectionString(mailroom.azurite.connectionString).getQueueClient(
    'mail-events',
  );
  const types: string[] = [];
  for (;;) {
    const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 32, visibilityTimeout: 1 });
    for (const { messageText } of receivedMessageItems) {
      const event = JSON.parse(Buffer.from(messageText, 'base64').toString());
      if (event.subject === id && !types.includes(event.type)) types.push(event.type);
    }
    if (receivedMessageItems.length < 32) return types;
  }
}

const ids: string[] = [];

it('lists what could not be checked in, with the reason and the attempts', async () => {
  const { items, ...rest } = await list('?account=corpus');
  expect(rest).toEqual({});
  expect(items).toHaveLength(howMany);
  for (const item of items) {
    ids.push(item.id);
    expect(item).toEqual({
      id: expect.stringMatching(/^corpus\.[0-9a-f]{32}$/),
      account: 'corpus',
      folder: 'INBOX',
      quarantinedAt: expect.stringMatching(/^20\d\d-/),
      reason: expect.stringMatching(/The mail has no content\.$/),
      attempts: 5,
      hasMime: true,
    });
  }
  const times = items.map(({ quarantinedAt }: { quarantinedAt: string }) => quarantinedAt);
  expect(times).toEqual([...times].sort().reverse());
  const all = (await list()).items;
  expect(all).toHaveLength(howMany + 2);
  const paged = [];
  for (let token = ''; ; ) {
    const page = await list(`?top=2${token}`);
    paged.push(...page.items);
    if (page.continue === undefined) break;
    token = `&continue=${page.continue}`;
  }
  expect(paged).toEqual(all);
  expect((await list('?account=nobody')).items).toEqual([]);
  expect(problem(await mailroom.call('GET', '/api/quarantine?acount=corpus&top=0'), 400).pointers).toEqual([
    '/acount',
    '/top',
  ]);
});

it('shows one, and gives its bytes', async () => {
  const [id = ''] = ids;
  const { json } = await mailroom.expect(200, 'GET', `/api/quarantine/${id}`);
  const whole = await mailroom.expect(200, 'GET', `/api/quarantine/${id}/mime`);
  expect(json).toMatchObject({ id, size: whole.bytes.length, sha256: sha256(whole.bytes) });
  expect(json.sourceId).toContain('INBOX');
  expect(whole.bytes.toString()).toMatch(/^\r\n +\r\n$/);
  expect(Object.fromEntries(whole.headers)).toMatchObject({
    'content-type': 'message/rfc822',
    'content-disposition': "attachment; filename*=UTF-8''message.eml",
    'content-security-policy': 'sandbox',
    'x-content-type-options': 'nosniff',
    etag: `"${json.sha256}"`,
  });
  const part = await mailroom.call('GET', `/api/quarantine/${id}/mime`, { headers: { range: 'bytes=0-1' } });
  expect([part.status, part.bytes.toString()]).toEqual([206, '\r\n']);
});

it('a replay that fails again says why, and counts', async () => {
  const [id = ''] = ids;
  const refused = problem(await mailroom.call('POST', `/api/quarantine/${id}/replay`), 409);
  expect(refused.detail).toMatch(/^It still cannot be checked in: .*The mail has no content\.$/);
  const { json } = await mailroom.expect(200, 'GET', `/api/quarantine/${id}`);
  expect(json.attempts).toBe(6);
  problem(await mailroom.call('GET', `/api/assets/${id}`), 404);
  // Nothing is in progress any more.
  expect(await inboxRows(mailroom, 'corpus', 'w:')).toEqual([]);
});

it('a replay makes it an asset of the same id, once, and leaves the original alone', async () => {
  const [id = ''] = ids;
  const mail = simpleMail('replayed');
  await becomeReadable(mailroom, id, mail);
  const before = imap.mails('corpus').length;
  // Two at the same time, and one more: each is answered with the one asset.
  const replay = () => mailroom.expect(200, 'POST', `/api/quarantine/${id}/replay`);
  const answers = [...(await Promise.all([replay(), replay()])), await replay()];
  for (const { json } of answers) {
    expect(json).toMatchObject({ id, subject: 'replayed', size: mail.length, sha256: sha256(mail), folder: 'INBOX' });
    expect(json).toEqual(answers[0]?.json);
  }
  expect((await mailroom.expect(200, 'GET', `/api/assets/${id}`)).json).toEqual(answers[0]?.json);
  expect((await mailroom.expect(200, 'GET', `/api/assets/${id}/mime`)).bytes.equals(mail)).toBe(true);
  const listed = (await mailroom.assets('corpus')).filter((asset) => asset.id === id);
  expect(listed).toHaveLength(1);

  problem(await mailroom.call('GET', `/api/quarantine/${id}`), 404);
  problem(await mailroom.call('GET', `/api/quarantine/${id}/mime`), 404);
  problem(await mailroom.call('DELETE', `/api/quarantine/${id}`), 404);
  expect((await list('?account=corpus')).items).toHaveLength(howMany - 1);
  expect(await quarantineBlobs(mailroom, id)).toEqual([]);
  expect(await eventsOf(id)).toEqual(['mailroom.mail.quarantined', 'mailroom.mail.imported']);

  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0, pending: 0, disposed: 0 });
  expect(imap.mails('corpus')).toHaveLength(before);
  for (const prefix of ['w:', 'u:']) expect(await inboxRows(mailroom, 'corpus', prefix)).toEqual([]);
});

it('the retention takes nothing from an asset that was replayed', async () => {
  const [id = ''] = ids;
  await mailroom.setClock(40 * hourMs);
  await mailroom.fireToEnd('retention');
  await mailroom.expect(200, 'GET', `/api/assets/${id}/mime`);
  expect(await inboxRows(mailroom, 'corpus', 'y:')).toEqual([]);
});

it('without kept bytes its server is asked for it again', async () => {
  const [, id = ''] = ids;
  await changeRow(mailroom, 'corpus', (await quarantineKeys(mailroom, id)).key, { hasMime: false });
  expect((await mailroom.expect(200, 'GET', `/api/quarantine/${id}`)).json).toMatchObject({
    hasMime: false,
    size: null,
    sha256: null,
  });
  problem(await mailroom.call('GET', `/api/quarantine/${id}/mime`), 404);
  // It gives what it gave before.
  const refused = problem(await mailroom.call('POST', `/api/quarantine/${id}/replay`), 409);
  expect(refused.detail).toMatch(/^It still cannot be checked in: .*The mail has no content\.$/);
});

it('and what it gives by then becomes the asset', async () => {
  const [{ id }] = (await list('?account=refusing')).items;
  await changeRow(mailroom, 'refusing', (await quarantineKeys(mailroom, id)).key, { hasMime: false });
  const [kept] = scripted.mails.splice(0);
  expect(problem(await mailroom.call('POST', `/api/quarantine/${id}/replay`), 409).detail).toMatch(
    /does not have this mail/,
  );
  scripted.mails.push({ uid: kept?.uid ?? 0, bytes: given });
  const { json } = await mailroom.expect(200, 'POST', `/api/quarantine/${id}/replay`);
  expect(json).toMatchObject({ id, subject: 'given at last', sha256: sha256(given) });
  expect((await list('?account=refusing')).items).toEqual([]);
  expect(await mailroom.import('refusing')).toMatchObject({ status: 'done', imported: 0, pending: 0, disposed: 0 });
  expect(await mailroom.assets('refusing')).toHaveLength(1);
});

it('a server that is away is said to be, and the mail stays', async () => {
  const [, id = ''] = ids;
  await imap.stop();
  expect(problem(await mailroom.call('POST', `/api/quarantine/${id}/replay`), 503).detail).toMatch(/connect/i);
  await mailroom.expect(200, 'GET', `/api/quarantine/${id}`);
  imap = await startImapMailbox({ accounts: users.map((user) => ({ user, password: passwordOf(user) })) });
  await mailboxAccount(mailroom, imap, 'corpus');
});

it('once dropped it is gone, and is not imported again', async () => {
  const [, , id = ''] = ids;
  expect(await quarantineBlobs(mailroom, id)).toHaveLength(1);
  await mailroom.expect(204, 'DELETE', `/api/quarantine/${id}`);
  for (const [method, rest] of [
    ['GET', ''],
    ['GET', '/mime'],
    ['DELETE', ''],
    ['POST', '/replay'],
  ] as const) {
    problem(await mailroom.call(method, `/api/quarantine/${id}${rest}`), 404);
  }
  expect(await quarantineBlobs(mailroom, id)).toEqual([]);
});

it('is there when its account is gone', async () => {
  const [, , , id = ''] = ids;
  await mailroom.expect([200, 204], 'DELETE', '/api/accounts/corpus');
  expect((await list('?account=corpus')).items).toHaveLength(howMany - 2);
  expect((await list()).items).toHaveLength(howMany - 2 + 1);
  await becomeReadable(mailroom, id, simpleMail('late'));
  const { json } = await mailroom.expect(200, 'POST', `/api/quarantine/${id}/replay`);
  expect(json).toMatchObject({ id, subject: 'late' });
  const [, without = ''] = ids;
  expect(problem(await mailroom.call('POST', `/api/quarantine/${without}/replay`), 409).detail).toMatch(/no store/);
});

it.each(['x', 'corpus.x', 'corpus.00000000000000000000000000000000', 'a%2Fb'])('no quarantined mail %s', async (id) => {
  problem(await mailroom.call('GET', `/api/quarantine/${id}`), 404);
  problem(await mailroom.call('POST', `/api/quarantine/${id}/replay`), 404);
});
