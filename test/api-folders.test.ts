import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../local/ports.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { graphAccount } from './support/graph-account.ts';
import { deliverAll, imapAccount } from './support/imap-account.ts';
import { simpleMail } from './support/mailbox-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';

const user = 'ann@example.com';

let mailroom: Mailroom;
let dovecot: Dovecot;

beforeAll(async () => {
  [mailroom, dovecot] = await Promise.all([
    Mailroom.start({ graph: [{ userPrincipalName: user }] }),
    startDovecot({ users: { ann: 'password of ann' } }),
  ]);
});

afterAll(async () => {
  await mailroom?.stop();
  await dovecot?.remove();
});

interface Item {
  readonly name: string;
  readonly total?: number;
  readonly unread?: number;
  readonly use?: string;
  readonly selected: boolean;
}

async function foldersOf(account: string): Promise<readonly Item[]> {
  return (await mailroom.expect(200, 'GET', `/api/accounts/${account}/folders`)).json.items;
}

it('of an IMAP mailbox, as the account names them', async () => {
  const client = await dovecot.client('ann');
  try {
    for (const name of ['Trash', 'Projects', 'Projects/Z&APw-rich', 'Projects/Z&APw-rich/2026'])
      await client.createFolder(name);
    await client.append('Projects/Z&APw-rich', simpleMail('read'), { flags: ['\\Seen'] });
    await client.append('Projects/Z&APw-rich', simpleMail('unread'));
  } finally {
    await client.close();
  }
  await deliverAll(dovecot, [{ bytes: simpleMail('one') }], { user: 'ann' });
  await imapAccount(mailroom, 'corpus', dovecot, { user: 'ann', folders: ['Inbox', 'Projects/Zürich'] });
  const items = await foldersOf('corpus');
  const item = (name: string) => items.find((each) => each.name === name);
  expect(item('INBOX')).toEqual({ name: 'INBOX', total: 1, unread: 1, use: 'inbox', selected: true });
  expect(item('Projects/Zürich')).toEqual({ name: 'Projects/Zürich', total: 2, unread: 1, selected: true });
  expect(item('Projects/Zürich/2026')).toEqual({ name: 'Projects/Zürich/2026', total: 0, unread: 0, selected: false });
  expect(item('Projects')).toMatchObject({ total: 0, selected: false });
  expect(items.find(({ use }) => use === 'trash')).toMatchObject({ name: 'Trash', selected: false });
  // What is listed is what an import goes through.
  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 3 });
});

it('of a Microsoft mailbox: well-known names, and paths that an account can have', async () => {
  const box = mailroom.graph.mailbox(user);
  for (const path of ['inbox/Invoices', 'inbox/Invoices/2026', 'Drafts and more', 'Scheduled']) {
    box.createFolder(path);
  }
  box.deliver(simpleMail('one'), { folder: 'inbox/Invoices' });
  await graphAccount(mailroom, 'office', { user, folders: ['Inbox', 'inbox/invoices'] });
  const items = await foldersOf('office');
  const names = items.map(({ name }) => name);
  expect(items.filter(({ selected }) => selected)).toMatchObject([
    { name: 'Inbox', use: 'inbox' },
    { name: 'inbox/invoices', total: 1, unread: 1 },
  ]);
  expect(names).toEqual(expect.arrayContaining(['inbox/Invoices/2026', 'Drafts and more', '/Scheduled', 'sentitems']));
  expect(items.find(({ use }) => use === 'sent')).toMatchObject({ name: 'sentitems' });
  expect(new Set(names).size).toBe(names.length);
  // Each name can be given to an account, and then is the one that is selected.
  for (const name of names) {
    await graphAccount(mailroom, 'office', { user, folders: [name] });
    expect((await foldersOf('office')).filter(({ selected }) => selected).map((each) => each.name)).toEqual([name]);
  }
  expect(mailroom.graph.violations).toEqual([]);
});

it('of a disabled account as well; a server that cannot be asked is named, with what to do', async () => {
  const { json } = await mailroom.expect(200, 'GET', '/api/accounts/corpus');
  await mailroom.expect(200, 'PATCH', '/api/accounts/corpus', { body: { enabled: false } });
  expect((await foldersOf('corpus')).length).toBeGreaterThan(3);
  await mailroom.secret('corpus', json.store.auth.secret, 'another password');
  const refused = problem(await mailroom.call('GET', '/api/accounts/corpus/folders'), 503);
  expect(refused.detail).toMatch(/password/i);
  await mailroom.expect([200, 201], 'PUT', '/api/accounts/gone', {
    body: {
      from: 'gone@example.com',
      store: { protocol: 'pop3', host: '127.0.0.1', port: await freePort(), auth: { type: 'none' } },
      import: { schedule: null },
    },
  });
  problem(await mailroom.call('GET', '/api/accounts/gone/folders'), 503);
});

it('there are none without a store, and of no account', async () => {
  await mailroom.expect([200, 201], 'PUT', '/api/accounts/sender', {
    body: { from: 'sender@example.com', transport: { protocol: 'smtp', host: '127.0.0.1', auth: { type: 'none' } } },
  });
  problem(await mailroom.call('GET', '/api/accounts/sender/folders'), 409);
  problem(await mailroom.call('GET', '/api/accounts/nobody/folders'), 404);
  problem(await mailroom.call('GET', '/api/accounts/corpus/folders?selected=true'), 400);
});
