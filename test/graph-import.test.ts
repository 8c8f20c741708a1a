import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MailboxControl } from '../local/graph/graph.ts';
import { audit, inboxRows, removeRow } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { graphAccount } from './support/graph-account.ts';
import { deliverAll, imapAccount } from './support/imap-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { mixedMails, random, type TestMail, testMail } from './support/mails.ts';

const dayMs = 86_400_000;
/** Moments at which the functions process is killed; the full count in `npm run test:soak`. */
const kills = process.env.SOAK ? 30 : 2;

const users = Array.from({ length: 24 }, (_, n) => `box${n}@example.com`);

let mailroom: Mailroom;
let imap: Dovecot;
let count = 0;
let name = '';
let user = '';
let box: MailboxControl;

beforeAll(async () => {
  [mailroom, imap] = await Promise.all([
    Mailroom.start({ graph: users.map((userPrincipalName) => ({ userPrincipalName })) }),
    startDovecot({ users: { tester: 'password of tester' } }),
  ]);
});

afterAll(async () => {
  await mailroom?.stop();
  await imap?.remove();
});

beforeEach(() => {
  user = users[count] ?? '';
  name = `graph${count}`;
  count += 1;
  box = mailroom.graph.mailbox(user);
});

function deliver(mails: readonly TestMail[]): void {
  for (const [n, mail] of mails.entries()) box.deliver(mail.bytes, { receivedAt: Date.UTC(2026, 1, 1, 0, n) });
}

async function restart(shiftMs: number): Promise<void> {
  await mailroom.kill();
  await mailroom.run({ shiftMs });
}

const retention = () => mailroom.fireToEnd('retention');

const inTrash = () => box.mails('deleteditems').length;

describe.each(['trash', 'permanent'] as const)(
  'the bug "deleted immediately, imported for ever" (%s)',
  (deleteMode) => {
    const [many, runs] = process.env.SOAK ? [50, 20] : [10, 5];
    it(`${many} mails, ${runs} runs: ${many} assets, an empty mailbox, no second import ever`, {
      timeout: 180_000,
    }, async () => {
      const mails = mixedMails(many, 31, 300_000);
      deliver(mails);
      await graphAccount(mailroom, name, { user, rule: { delete: 'immediately', deleteMode } });
      const imported: number[] = [];
      for (let run = 0; run < runs; run += 1) {
        const { status, error, ...counts } = await mailroom.import(name);
        expect(error).toBeUndefined();
        expect(status).toBe('done');
        imported.push(counts.imported);
      }
      expect(imported).toEqual([many, ...Array.from({ length: runs - 1 }, () => 0)]);
      await audit(mailroom, name, mails);
      expect(box.mails('inbox')).toEqual([]);
      expect(inTrash()).toBe(deleteMode === 'trash' ? many : 0);
      expect(mailroom.graph.violations).toEqual([]);
      expect(mailroom.graph.exposedTokens).toEqual([]);
    });
  },
);

describe.each(['trash', 'permanent'] as const)('the bug "deleted after N days, never" (%s)', (deleteMode) => {
  it('nothing before 72 hours, all by the first retention after it, none imported again', {
    timeout: 180_000,
  }, async () => {
    await mailroom.setClock(0);
    const mails = mixedMails(30, 32, 20_000);
    deliver(mails);
    await graphAccount(mailroom, name, { user, rule: { delete: { afterDays: 3 }, deleteMode } });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 30 });
    // A user files one elsewhere, and reads another: it stays where it was filed.
    const filed = box.mails('inbox')[7];
    box.move(filed?.immutableId ?? '', 'Projects');
    await mailroom.import(name);

    await mailroom.setClock(3 * dayMs - 120_000);
    await retention();
    expect(box.mails('inbox')).toHaveLength(29);

    // The retention dies half-way; the next one does the rest.
    await restart(3 * dayMs + 60_000);
    await mailroom.fire('retention');
    await until('some deleted', 60, async () => box.mails('inbox').length < 27);
    await restart(3 * dayMs + 180_000);
    await retention();
    expect(box.mails('inbox')).toEqual([]);
    expect(box.mails('Projects')).toHaveLength(1);
    expect(inTrash()).toBe(deleteMode === 'trash' ? 29 : 0);
    for (let run = 0; run < 3; run += 1) expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
    await audit(mailroom, name, mails, { compare: 3 });
    expect(await inboxRows(mailroom, name, 'd:')).toEqual([]);
    await mailroom.setClock(0);
  });
});

it('an expired token in the middle is got anew', { timeout: 180_000 }, async () => {
  const mails = mixedMails(5, 33, 10_000);
  deliver(mails);
  await graphAccount(mailroom, name, { user, rule: { delete: 'immediately' } });
  const fault = mailroom.graph.faults.add({ fault: { kind: 'expiredToken' }, user, skip: 2 });
  await until('all imported', 60, async () => {
    await mailroom.import(name);
    return (await mailroom.assets(name)).length === 5;
  });
  expect(fault.hits).toBe(1);
  await mailroom.import(name);
  await audit(mailroom, name, mails);
  expect(box.mails('inbox')).toEqual([]);
});

it('every byte, 8-bit headers and a calendar part survive', { timeout: 180_000 }, async () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, n) => n).filter((n) => n !== 10 && n !== 13));
  const mail = Buffer.concat([
    Buffer.from('From: a@example.net\r\nTo: b@example.com\r\nMessage-ID: <bytes@example.net>\r\nSubject: Gr', 'latin1'),
    Buffer.from([0xfc, 0xdf, 0x65]),
    Buffer.from(
      '\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n',
    ),
    all,
    Buffer.from(
      '\r\n--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n--b--\r\n',
    ),
  ]);
  box.deliver(mail);
  await graphAccount(mailroom, name, { user });
  expect(await mailroom.import(name)).toMatchObject({ imported: 1 });
  const [asset] = await mailroom.assets(name);
  expect((await mailroom.expect(200, 'GET', `/api/assets/${asset.id}/mime`)).bytes.equals(mail)).toBe(true);
  expect(asset.flags.calendar).toBe(true);
  expect((await mailroom.expect(200, 'GET', `/api/assets/${asset.id}/attachments/1`)).bytes.includes(all)).toBe(true);
});

it('drafts and mail in other folders are not imported; a draft that is sent later is', {
  timeout: 180_000,
}, async () => {
  const [draft, other, wanted] = mixedMails(3, 34, 5_000);
  box.deliver(draft?.bytes ?? Buffer.alloc(0), { isDraft: true });
  box.deliver(other?.bytes ?? Buffer.alloc(0), { folder: 'Elsewhere' });
  box.deliver(wanted?.bytes ?? Buffer.alloc(0));
  await graphAccount(mailroom, name, { user });
  expect(await mailroom.import(name)).toMatchObject({ imported: 1, skipped: 1 });
  // Our own writes come back in the next delta, and so does what people do: none of it imports anything.
  for (const mail of box.mails('inbox')) box.mark(mail.immutableId, !mail.isRead);
  expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
});

it('a mail above maxMessageSize becomes an asset of headers only, and its original stays', {
  timeout: 180_000,
}, async () => {
  const next = random(44);
  const [small, middle, large] = [
    testMail({ n: 1 }, next),
    testMail({ n: 2, text: 60_000 }, next),
    testMail({ n: 3, attachment: 900_000 }, next),
  ];
  for (const mail of [small, middle, large]) box.deliver(mail.bytes);
  await graphAccount(mailroom, name, { user, rule: { delete: 'immediately', maxMessageSize: 50_000 } });
  // Graph does not say sizes beforehand.
  expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 3, pending: 0, disposed: 1 });
  const assets = await mailroom.assets(name);
  expect(
    assets
      .filter((asset) => asset.flags.oversize)
      .map((asset) => asset.messageId)
      .sort(),
  ).toEqual([middle.messageId, large.messageId].sort());
  expect(assets.every((asset) => asset.size < 50_000)).toBe(true);
  expect(box.mails('inbox')).toHaveLength(2);
  expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
});

it('an idle poll is one request; an imported and marked mail costs at most 2.1', { timeout: 180_000 }, async () => {
  const mails = mixedMails(100, 35, 4_000);
  deliver(mails);
  await graphAccount(mailroom, name, { user });
  const requests = () => mailroom.graph.requests.filter((request) => request.user === user).length;
  const before = requests();
  expect(await mailroom.import(name)).toMatchObject({ imported: 100 });
  const cost = (requests() - before) / 100;
  expect(cost).toBeLessThanOrEqual(2.1);
  // The marks come back once.
  await mailroom.import(name);
  const idle = requests();
  await mailroom.import(name);
  expect(requests() - idle).toBe(1);
});

it('a mail that went A → B → A between two polls stays imported once, and its deletion holds', {
  timeout: 180_000,
}, async () => {
  const [mail] = mixedMails(1, 36, 3_000);
  const { immutableId } = box.deliver(mail?.bytes ?? Buffer.alloc(0));
  await graphAccount(mailroom, name, { user, rule: { delete: { afterDays: 1 } } });
  expect(await mailroom.import(name)).toMatchObject({ imported: 1 });
  const fault = mailroom.graph.faults.add({ fault: { kind: 'loseReturns' }, user, times: Number.POSITIVE_INFINITY });
  box.move(immutableId, 'Other');
  box.move(immutableId, 'inbox');
  // Reported as removed, and nothing else: neither is it forgotten, nor imported again.
  expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
  expect(fault.hits).toBeGreaterThan(0);
  await mailroom.setClock(dayMs + 60_000);
  await retention();
  expect(box.mails('inbox')).toEqual([]);
  expect(inTrash()).toBe(1);
  await mailroom.setClock(0);
});

it('the first connection imports nothing from before `since`, whatever delta lists', { timeout: 180_000 }, async () => {
  const mails = mixedMails(6, 51, 3_000);
  for (const [n, mail] of mails.entries()) box.deliver(mail.bytes, { receivedAt: Date.UTC(2026, 1, 1 + n) });
  await graphAccount(mailroom, name, { user, rule: { since: '2026-02-04T00:00:00Z' } });
  expect(await mailroom.import(name)).toMatchObject({ imported: 3, skipped: 3 });
  await audit(mailroom, name, mails.slice(3));
  // What is old stays out, also when a full round lists it anew.
  mailroom.graph.faults.add({ fault: { kind: 'gone', code: 'syncStateNotFound' }, route: '/delta()', user });
  expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
  expect(box.mails('inbox').filter(({ isRead }) => !isRead)).toHaveLength(3);
});

it('a mail that a person takes back out of the trash is not imported again, nor deleted again', {
  timeout: 180_000,
}, async () => {
  const mails = mixedMails(2, 52, 3_000);
  deliver(mails);
  await graphAccount(mailroom, name, { user, rule: { delete: 'immediately' } });
  expect(await mailroom.import(name)).toMatchObject({ imported: 2, disposed: 2 });
  const [back] = box.mails('deleteditems');
  box.move(back?.immutableId ?? '', 'inbox');
  for (let run = 0; run < 2; run += 1) expect(await mailroom.import(name)).toMatchObject({ imported: 0, disposed: 0 });
  await mailroom.fireToEnd('sweep');
  expect(box.mails('inbox').map(({ immutableId }) => immutableId)).toEqual([back?.immutableId]);
  await audit(mailroom, name, mails);
});

it('what is no ordinary mail is imported as well, and flagged: an invitation, a bounce, an out-of-office', {
  timeout: 180_000,
}, async () => {
  const head = (subject: string, more: string) =>
    `From: someone@example.org\r\nTo: ${user}\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@example.org>\r\n` +
    `Date: Thu, 01 Jan 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n${more}\r\n`;
  const invitation =
    'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n';
  box.deliver(Buffer.from(head('invitation', 'Content-Type: text/calendar; method=REQUEST\r\n') + invitation));
  box.deliver(
    Buffer.from(
      `${head('bounce', 'Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n')}--b\r\n` +
        'Content-Type: text/plain\r\n\r\nIt did not arrive.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n' +
        'Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; bob@example.org\r\nAction: failed\r\n' +
        'Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--b\r\n' +
        'Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <sent@example.com>\r\n--b--\r\n',
    ),
  );
  box.deliver(Buffer.from(`${head('away', 'Auto-Submitted: auto-replied\r\n')}I am away.\r\n`));
  await graphAccount(mailroom, name, { user });
  expect(await mailroom.import(name)).toMatchObject({ imported: 3, pending: 0 });
  const assets = await mailroom.assets(name);
  const flags = Object.fromEntries(assets.map((asset) => [asset.subject, asset.flags]));
  expect(flags).toMatchObject({
    invitation: { calendar: true, bounce: false },
    bounce: { bounce: true, calendar: false },
    away: { autoSubmitted: true, bounce: false },
  });
  expect(Object.fromEntries(assets.map((asset) => [asset.subject, asset.bounce]))).toEqual({
    invitation: null,
    bounce: {
      recipients: [
        { address: 'bob@example.org', action: 'failed', status: '5.1.1', diagnostic: '550 5.1.1 no such user' },
      ],
      messageId: '<sent@example.com>',
    },
    away: null,
  });
});

it('a mail that delta lost is found by the sweep', { timeout: 180_000 }, async () => {
  const [mail] = mixedMails(1, 43, 3_000);
  const { immutableId } = box.deliver(mail?.bytes ?? Buffer.alloc(0));
  box.corrupt(immutableId, { value: true });
  await graphAccount(mailroom, name, { user });
  expect(await mailroom.import(name)).toMatchObject({ imported: 0, pending: 1 });
  // The delta has passed it, and nothing knows of it any more.
  for (const row of await inboxRows(mailroom, name, 'p:')) await removeRow(mailroom, name, row.key);
  box.corrupt(immutableId, {});
  expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
  await mailroom.fire('sweep');
  await until('the mail', 60, async () => (await mailroom.assets(name)).length === 1);
});

it.each(['syncStateNotFound', 'SyncStateInvalid', 'resyncRequired'])(
  '410 %s: a full round against the ledger, nothing twice',
  { timeout: 180_000 },
  async (code) => {
    const mails = mixedMails(20, 37, 5_000);
    deliver(mails);
    await graphAccount(mailroom, name, { user });
    await mailroom.import(name);
    const late = testMail({ n: 999 }, random(38));
    box.deliver(late.bytes);
    const fault = mailroom.graph.faults.add({ fault: { kind: 'gone', code }, user, route: '/delta()' });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 1 });
    expect(fault.hits).toBe(1);
    await audit(mailroom, name, [...mails, late], { compare: 2 });
  },
);

it('moved from IMAP to Graph on the same mailbox: nothing is imported twice', { timeout: 180_000 }, async () => {
  const mails = mixedMails(25, 39, 50_000);
  const date = (n: number) => new Date(Date.UTC(2026, 1, 1, 0, n));
  await deliverAll(imap, mails, { date });
  await imapAccount(mailroom, name, imap, { rule: { markRead: false } });
  expect(await mailroom.import(name)).toMatchObject({ imported: 25 });
  // Exchange rebuilds MIME: the bytes differ, the mail is the same.
  for (const [n, mail] of mails.entries()) {
    const rebuilt = Buffer.concat([Buffer.from('X-MS-Exchange-Organization-SCL: 1\r\n'), mail.bytes]);
    box.deliver(mail.bytes, { receivedAt: date(n).getTime(), rebuilt });
  }
  const fresh = testMail({ n: 999 }, random(40));
  box.deliver(fresh.bytes);
  await graphAccount(mailroom, name, { user, transport: null });
  expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 1, skipped: 25 });
  expect(await mailroom.import(name)).toMatchObject({ imported: 0 });
  expect(await mailroom.assets(name)).toHaveLength(26);
});

it(`killed at ${kills} random moments: one asset per mail, originals as the account says`, {
  timeout: 600_000,
}, async () => {
  const mails = mixedMails(process.env.SOAK ? 300 : 20, 41, 2_000_000);
  deliver(mails);
  await graphAccount(mailroom, name, { user, rule: { delete: 'immediately' } });
  const moment = random(42);
  let shiftMs = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    await mailroom.expect(202, 'POST', `/api/accounts/${name}/import`);
    await new Promise((resolve) => setTimeout(resolve, 100 + moment() * 900));
    shiftMs += 45_000;
    await restart(shiftMs);
  }
  await until('everything imported', 120, async () => {
    const run = await mailroom.import(name);
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`);
    if (json.pending > 0) {
      shiftMs += 7_200_000;
      await mailroom.setClock(shiftMs);
    }
    return run.status === 'done' && json.pending === 0 && json.backlog === 0;
  });
  await audit(mailroom, name, mails, { compare: 10 });
  expect(box.mails('inbox')).toEqual([]);
  expect(inTrash()).toBe(mails.length);
  await mailroom.setClock(0);
});
