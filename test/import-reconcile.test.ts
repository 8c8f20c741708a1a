import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { audit } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { deliverAll, imapAccount } from './support/imap-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { mixedMails, random, testMail } from './support/mails.ts';
import { retention } from './support/retention.ts';

const users = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`user${n}`, `password of user ${n}`]));
const dayMs = 86_400_000;

let mailroom: Mailroom;
let server: Dovecot;
let other: Dovecot;
let count = 0;
let user = '';
let name = '';

beforeAll(async () => {
  [mailroom, server, other] = await Promise.all([Mailroom.start(), startDovecot({ users }), startDovecot({ users })]);
});

afterAll(async () => {
  await mailroom?.stop();
  await server?.remove();
  await other?.remove();
});

beforeEach(() => {
  user = `user${count}`;
  name = `box${count}`;
  count += 1;
});

const received = (n: number) => new Date(Date.UTC(2026, 1, 1, 0, n));

async function uids(from: Dovecot, folder = 'INBOX'): Promise<number[]> {
  const client = await from.client(user);
  try {
    return await client.uids(folder);
  } finally {
    await client.close();
  }
}

describe('UIDVALIDITY changes with all mail kept', () => {
  it('nothing is imported twice, and what arrives later is', { timeout: 180_000 }, async () => {
    const mails = mixedMails(60, 11, 400_000);
    await deliverAll(server, mails, { user, date: received });
    await imapAccount(mailroom, name, server, { user });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 60 });
    await server.setUidValidity(user, 'INBOX', 77_777);
    const late = testMail({ n: 1000 }, random(12));
    await deliverAll(server, [late], { user });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 1, skipped: 60 });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, skipped: 0 });
    await audit(mailroom, name, [...mails, late], { compare: 5 });
  });

  it('two mails with the same bytes stay two', { timeout: 180_000 }, async () => {
    const mail = testMail({ n: 1 }, random(13));
    await deliverAll(server, [mail, mail], { user, date: () => received(1) });
    await imapAccount(mailroom, name, server, { user });
    expect(await mailroom.import(name)).toMatchObject({ imported: 2 });
    await server.setUidValidity(user, 'INBOX', 88_888);
    expect(await mailroom.import(name)).toMatchObject({ imported: 0, skipped: 2 });
    // Each row absorbs one message: a third copy is a third mail.
    await server.setUidValidity(user, 'INBOX', 99_999);
    await deliverAll(server, [mail], { user, date: () => received(1) });
    expect(await mailroom.import(name)).toMatchObject({ imported: 1, skipped: 2 });
  });
});

describe('the account is pointed at another server', () => {
  it('copies are known by their bytes, the rest is new, and no original is touched wrongly', {
    timeout: 180_000,
  }, async () => {
    const mails = mixedMails(40, 14, 400_000);
    const copied = mails.filter((_, n) => n % 2 === 0);
    const fresh = mixedMails(10, 15, 100_000).map((mail) => mail);
    await deliverAll(server, mails, { user, date: received });
    await imapAccount(mailroom, name, server, { user });
    expect(await mailroom.import(name)).toMatchObject({ imported: 40 });
    await deliverAll(other, copied, { user, date: (n) => received(n * 2) });
    await deliverAll(other, fresh, { user, date: (n) => received(500 + n) });
    await imapAccount(mailroom, name, other, { user });
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 10, skipped: 20 });
    await audit(mailroom, name, [...mails, ...fresh], { compare: 5 });
    expect((await uids(server)).length).toBe(40);
    expect((await uids(other)).length).toBe(30);
  });

  it('a mail with the same Message-ID, time and size but other bytes is new', { timeout: 180_000 }, async () => {
    const mail = testMail({ n: 1 }, random(16));
    const forged = Buffer.from(mail.bytes.toString('latin1').replace('Mail number 1', 'Mail NUMBER 1'), 'latin1');
    await deliverAll(server, [mail], { user, date: received });
    await imapAccount(mailroom, name, server, { user });
    await mailroom.import(name);
    await deliverAll(other, [{ bytes: forged }], { user, date: received });
    await imapAccount(mailroom, name, other, { user });
    expect(await mailroom.import(name)).toMatchObject({ imported: 1, skipped: 0 });
    expect(await mailroom.assets(name)).toHaveLength(2);
  });
});

describe('deletion N days after the check-in', () => {
  it('never hits the mail that has the UID of a due deletion now', { timeout: 180_000 }, async () => {
    await mailroom.setClock(0);
    const mails = mixedMails(4, 19, 10_000);
    await deliverAll(server, mails, { user, date: received });
    await imapAccount(mailroom, name, server, { user, rule: { delete: { afterDays: 1 } } });
    await mailroom.import(name);
    const before = await uids(server);
    // The folder is made anew with the same UIDVALIDITY: every UID names another mail.
    const validity = await uidValidity();
    await server.stop();
    await rm(join(server.mailDir, user), { recursive: true });
    await server.restart();
    const strangers = Array.from({ length: 4 }, (_, n) => testMail({ n: 2000 + n }, random(20 + n)));
    await deliverAll(server, strangers, { user, date: (n) => received(900 + n) });
    await server.setUidValidity(user, 'INBOX', validity);
    expect(await uids(server)).toEqual(before);
    await mailroom.setClock(2 * dayMs);
    await retention(mailroom);
    expect(await uids(server)).toEqual(before);
  });
});

async function uidValidity(): Promise<number> {
  const client = await server.client(user);
  try {
    const { lines } = await client.ok('STATUS INBOX (UIDVALIDITY)');
    return Number(/UIDVALIDITY (\d+)/.exec(lines.map((line) => line.text).join())?.[1]);
  } finally {
    await client.close();
  }
}
