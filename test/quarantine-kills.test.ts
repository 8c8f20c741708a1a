import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { inboxRows } from './support/audit.ts';
import { catcher } from './support/kill-moments.ts';
import { mailboxAccount, passwordOf, simpleMail } from './support/mailbox-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { becomeReadable, blankMail, quarantineAll, quarantineBlobs } from './support/quarantine.ts';
import { EventReader } from './support/sending.ts';
import { blob, event, type Moment, table } from './support/stop-stage.ts';
import { assetBlobs } from './support/storage-audit.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

const moments: readonly Moment[] = [
  { when: 'when the page is noted', at: 'after', ...table('"w:') },
  { when: 'when the mail is written', at: 'after', ...blob('message.eml') },
  { when: 'before it is described', at: 'before', ...blob('asset.json') },
  { when: 'before the commit', at: 'before', ...table('"state":"imported"') },
  { when: 'after the commit', at: 'after', ...table('"state":"imported"') },
  { when: 'before its event', at: 'before', ...event },
  { when: 'after its event', at: 'after', ...event },
  { when: 'before its kept bytes are removed', at: 'before', service: 'blob', method: 'DELETE', text: 'message.eml' },
];
const names = moments.map((_, n) => `kept${n}`);

let gate: StorageGate;
let mailroom: Mailroom;
let imap: ImapMailbox;
let aheadMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, imap] = await Promise.all([
    Mailroom.start({ env: (azurite) => ({ MailStorage: gate.lead(azurite) }) }),
    startImapMailbox({ accounts: names.map((user) => ({ user, password: passwordOf(user) })) }),
  ]);
  for (const [n, name] of names.entries()) {
    imap.deliver(name, blankMail(n + 1));
    await mailboxAccount(mailroom, imap, name);
  }
  aheadMs = await quarantineAll(mailroom, names);
}, 240_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await imap?.stop();
  await gate?.stop();
});

/** Every lease has lapsed, and a process runs. */
async function later(): Promise<void> {
  aheadMs += 600_000;
  await mailroom.setClock(aheadMs);
}

describe('killed while mail is replayed, each account at another moment', () => {
  const ids: string[] = [];

  beforeAll(async () => {
    const replays: Promise<unknown>[] = [];
    const caught = moments.map((moment, n) => gate.hold({ fits: catcher(names[n] ?? '', moment), at: moment.at }));
    for (const name of names) {
      const [{ id }] = (await mailroom.expect(200, 'GET', `/api/quarantine?account=${name}`)).json.items;
      ids.push(id);
      await becomeReadable(mailroom, id, simpleMail(name));
      replays.push(mailroom.call('POST', `/api/quarantine/${id}/replay`).catch(() => undefined));
    }
    await Promise.all(caught);
    await mailroom.kill();
    gate.release();
    await Promise.all(replays);
    await later();
  }, 240_000);

  it.each(moments.map((moment, n) => ({ ...moment, n })))('$when', { timeout: 180_000 }, async ({ n }) => {
    const [name, id] = [names[n] ?? '', ids[n]];
    const mail = simpleMail(name);

    // It is one or the other, never both or none.
    const statuses = [];
    for (const path of ['quarantine', 'assets'])
      statuses.push((await mailroom.call('GET', `/api/${path}/${id}`)).status);
    expect([...statuses].sort()).toEqual([200, 404]);

    // Imports come and go, and change nothing about it.
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, quarantined: 0 });
    await later();
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, quarantined: 0 });
    const { json } = await mailroom.expect(200, 'POST', `/api/quarantine/${id}/replay`);
    expect(json).toMatchObject({ id, subject: name, size: mail.length });
    expect((await mailroom.expect(200, 'GET', `/api/assets/${id}/mime`)).bytes.equals(mail)).toBe(true);
    expect(await mailroom.assets(name)).toHaveLength(1);
    expect((await assetBlobs(mailroom, name)).sort()).toEqual([
      `${name}/${id}/asset.json`,
      `${name}/${id}/message.eml`,
    ]);
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, quarantined: 0 });
    for (const prefix of ['w:', 'u:', 'p:', 'q:']) expect(await inboxRows(mailroom, name, prefix), prefix).toEqual([]);
    expect(imap.mails(name)).toHaveLength(1);
  });

  it('a day later nothing is left that nobody needs', { timeout: 180_000 }, async () => {
    aheadMs += 26 * 3_600_000;
    await later();
    await mailroom.fireToEnd('retention');
    expect(ids).toHaveLength(names.length);
    for (const [n, id] of ids.entries()) {
      expect(await quarantineBlobs(mailroom, id)).toEqual([]);
      expect(await inboxRows(mailroom, names[n] ?? '', 'y:')).toEqual([]);
      await mailroom.expect(200, 'GET', `/api/assets/${id}/mime`);
    }
  });
});

it('each has an event, under one id however often it is published', async () => {
  const events = await new EventReader(mailroom).all();
  for (const name of names) {
    const its = events.filter(
      ({ source, type }) => source === `/accounts/${name}` && type === 'mailroom.mail.imported',
    );
    expect(new Set(its.map(({ id }) => id)).size, name).toBe(1);
  }
});
