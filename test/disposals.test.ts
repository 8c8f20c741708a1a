import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inboxRows } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { graphAccount } from './support/graph-account.ts';
import { deliverAll } from './support/imap-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { mixedMails, type TestMail } from './support/mails.ts';
import { namesUid, type RefusingProxy, startRefusingProxy } from './support/refusing-proxy.ts';
import { retention } from './support/retention.ts';
import { EventReader } from './support/sending.ts';
import { serverAccount } from './support/server-account.ts';
import { startStallProxy } from './support/stall-proxy.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

/** What becomes of originals when something is in the way: refusals, deaths, and mail that others have moved. */
const protocols = ['imap', 'pop3', 'graph'] as const;
type Protocol = (typeof protocols)[number];

const minuteMs = 60_000;
const cases = ['refused', 'due', 'killed', 'filed', 'moved', 'copied', 'unmarked', 'unmoved'] as const;
type Case = (typeof cases)[number];
const nameOf = (which: Case, protocol: Protocol) => `${which}-${protocol}`;

let gate: StorageGate;
let mailroom: Mailroom;
let dovecot: Dovecot;
let events: EventReader;
let proxies: Readonly<Record<'imap' | 'pop3', RefusingProxy>>;
let shiftMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  const names = cases.flatMap((which) => protocols.map((protocol) => nameOf(which, protocol)));
  [mailroom, dovecot] = await Promise.all([
    Mailroom.start({
      env: (azurite) => ({ MailStorage: gate.lead(azurite) }),
      graph: names.map((name) => ({ userPrincipalName: `${name}@example.com` })),
    }),
    startDovecot({ users: Object.fromEntries(names.map((name) => [name, `password of ${name}`])) }),
  ]);
  const [imap, pop3] = await Promise.all(
    (['imap', 'pop3'] as const).map((protocol) =>
      startRefusingProxy({ host: dovecot.host, port: dovecot.ports[protocol] }),
    ),
  );
  if (!imap || !pop3) throw new Error('no proxies');
  proxies = { imap, pop3 };
  events = new EventReader(mailroom);
});

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await Promise.all(Object.values(proxies ?? {}).map((proxy) => proxy.stop()));
  await dovecot?.remove();
  await gate?.stop();
});

async function later(byMs: number): Promise<void> {
  shiftMs += byMs;
  await mailroom.setClock(shiftMs);
}

async function deliver(protocol: Protocol, name: string, mails: readonly TestMail[]): Promise<void> {
  if (protocol !== 'graph') await deliverAll(dovecot, mails, { user: name });
  else for (const { bytes } of mails) graphBox(name).deliver(bytes);
}

async function account(protocol: Protocol, name: string, rule: Readonly<Record<string, unknown>>): Promise<void> {
  const import_ = { deleteMode: 'permanent', ...rule };
  if (protocol === 'graph') {
    await graphAccount(mailroom, name, { user: `${name}@example.com`, transport: null, rule: import_ });
  } else {
    const { port } = proxies[protocol];
    await serverAccount(mailroom, name, dovecot, { protocol, user: name, port, rule: import_ });
  }
}

const graphBox = (name: string) => mailroom.graph.mailbox(`${name}@example.com`);
const mailsOf = (protocol: Protocol, count: number) => mixedMails(count, 300 + protocols.indexOf(protocol), 5_000);

async function left(protocol: Protocol, name: string): Promise<number> {
  return protocol === 'graph' ? graphBox(name).mails('inbox').length : (await inFolder(name, 'INBOX')).length;
}

async function inFolder(name: string, folder: string): Promise<readonly number[]> {
  const client = await dovecot.client(name);
  try {
    return await client.uids(folder);
  } finally {
    await client.close();
  }
}

async function makeFolder(protocol: 'imap' | 'graph', name: string, folder: string): Promise<void> {
  if (protocol === 'graph') {
    graphBox(name).createFolder(folder);
    return;
  }
  const client = await dovecot.client(name);
  await client.ok(`CREATE ${folder}`);
  await client.close();
}

/** Mails of the inbox that are not as the account wants them: still there, or still unread. */
async function undisposed(protocol: 'imap' | 'graph', name: string, which: 'unmarked' | 'unmoved'): Promise<number> {
  if (which === 'unmoved') return await left(protocol, name);
  if (protocol === 'graph')
    return graphBox(name)
      .mails('inbox')
      .filter(({ isRead }) => !isRead).length;
  const client = await dovecot.client(name);
  try {
    await client.select('INBOX');
    const { lines } = await client.ok('UID SEARCH UNSEEN');
    const found = lines.find(({ text }) => text.startsWith('* SEARCH'))?.text ?? '';
    return found.split(' ').length - 2;
  } finally {
    await client.close();
  }
}

/** The server refuses to delete the mail that is the `nth` of its mailbox now, whatever is asked together with it. */
function refuse(protocol: Protocol, name: string, nth: number): void {
  if (protocol === 'imap') {
    proxies.imap.refuse((line) => {
      const [tag, , command, set = ''] = line.split(' ');
      const refused = /^(EXPUNGE|STORE)$/.test(command ?? '') && namesUid(set, nth);
      return refused ? `${tag} CREATE INBOX` : undefined;
    });
  } else if (protocol === 'pop3') {
    // Once: in the next session the number is another mail's.
    let times = 1;
    proxies.pop3.refuse((line) => (line === `DELE ${nth}` && times-- > 0 ? 'DELE 99999' : undefined));
  } else {
    const fault = { kind: 'refused', status: 400, code: 'ErrorInvalidOperation' } as const;
    mailroom.graph.faults.add({ fault, route: '/permanentDelete', user: `${name}@example.com`, times: 1 });
  }
}

function refuseNothing(protocol: Protocol): void {
  if (protocol !== 'graph') proxies[protocol].refuse(() => undefined);
}

const status = async (name: string) => (await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`)).json;

/** Types of the events about the account itself. */
async function toldOfAccount(name: string): Promise<string[]> {
  const all = await events.all();
  return all.filter(({ subject }) => subject.startsWith(`${name}/originals/`)).map(({ type }) => type);
}

describe.each(protocols)('one original that the server refuses to delete: %s', (protocol) => {
  const name = nameOf('refused', protocol);
  /** Where the refused mail stands: a UID lasts, a number of POP3 does not. */
  const stands = protocol === 'imap' ? 2 : 1;

  it('keeps no other from its deletion, and no new mail from its import', { timeout: 180_000 }, async () => {
    const mails = mailsOf(protocol, 7);
    await deliver(protocol, name, mails.slice(0, 5));
    await account(protocol, name, { delete: 'immediately' });
    refuse(protocol, name, 2);
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 5, disposed: 4 });
    expect(await left(protocol, name)).toBe(1);
    const last = { code: expect.any(String), reason: expect.any(String), at: expect.any(String) };
    expect(await status(name)).toMatchObject({ failing: [], disposalsFailing: { count: 1, last } });
    if (protocol !== 'graph') refuse(protocol, name, stands);
    await deliver(protocol, name, mails.slice(5));
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 2, disposed: 2 });
    expect(await left(protocol, name)).toBe(1);
  });

  it('is tried again after growing pauses, reported when it keeps failing, and when it does no longer', {
    timeout: 240_000,
  }, async () => {
    for (const pause of [6, 31]) {
      await later(pause * minuteMs);
      expect((await status(name)).failing).toEqual([]);
      refuse(protocol, name, stands);
      expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, disposed: 0 });
      // Once in a run, and not again before its pause is over.
      expect(await mailroom.import(name)).toMatchObject({ status: 'done', disposed: 0 });
      const rows = await inboxRows(mailroom, name, 'x:');
      expect(rows.map(({ columns }) => columns.attempts)).toEqual([pause === 6 ? 2 : 3]);
    }
    expect(await status(name)).toMatchObject({ failing: [{ side: 'originals' }], disposalsFailing: { count: 1 } });
    expect(await toldOfAccount(name)).toEqual(['mailroom.account.failing']);
    refuseNothing(protocol);
    await later(121 * minuteMs);
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0, disposed: 1 });
    expect(await left(protocol, name)).toBe(0);
    expect(await status(name)).toMatchObject({ failing: [], disposalsFailing: { count: 0, last: null } });
    expect(await toldOfAccount(name)).toEqual(['mailroom.account.failing', 'mailroom.account.recovered']);
  });
});

describe('one original that the server refuses', () => {
  const refusals = [
    { what: 'to mark', which: 'unmarked', rule: { markRead: true }, imap: /^STORE$/, graph: 'PATCH' },
    { what: 'to move', which: 'unmoved', rule: { moveTo: 'Done', markRead: false }, imap: /^MOVE$/, graph: 'POST' },
  ] as const;

  it.each(refusals.flatMap((each) => (['imap', 'graph'] as const).map((protocol) => ({ ...each, protocol }))))(
    '$what, on $protocol: the others are, new mail is imported, and it is tried again',
    {
      timeout: 180_000,
    },
    async ({ which, rule, protocol, imap, graph }) => {
      const name = nameOf(which, protocol);
      const mails = mailsOf(protocol, 4);
      await deliver(protocol, name, mails.slice(0, 3));
      await makeFolder(protocol, name, 'Done');
      await account(protocol, name, rule);
      if (protocol === 'imap') {
        proxies.imap.refuse((line) => {
          const [tag, , command = '', set = ''] = line.split(' ');
          return imap.test(command) && namesUid(set, 2) ? `${tag} CREATE INBOX` : undefined;
        });
      } else {
        const id = graphBox(name).mails('inbox')[1]?.immutableId;
        mailroom.graph.faults.add({
          fault: { kind: 'refused', status: 500, code: 'ErrorInternalServerError' },
          user: `${name}@example.com`,
          when: ({ method, message }) => method === graph && message === id,
          times: Number.POSITIVE_INFINITY,
        });
      }
      expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 3 });
      expect(await undisposed(protocol, name, which)).toBe(1);
      expect(await status(name)).toMatchObject({ disposalsFailing: { count: 1 } });
      await deliver(protocol, name, mails.slice(3));
      expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 1 });
      expect(await undisposed(protocol, name, which)).toBe(1);
      refuseNothing(protocol);
      mailroom.graph.faults.clear();
      await later(6 * minuteMs);
      expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0 });
      expect(await undisposed(protocol, name, which)).toBe(0);
      expect(await status(name)).toMatchObject({ disposalsFailing: { count: 0 } });
    },
  );
});

it('on a server without MOVE, an original that was copied and cannot be removed is not copied again', {
  timeout: 240_000,
}, async () => {
  const name = nameOf('copied', 'imap');
  await deliver('imap', name, mailsOf('imap', 3));
  await makeFolder('imap', name, 'Done');
  const to = { host: '127.0.0.1', port: proxies.imap.port };
  const withoutMove = await startStallProxy({ ...to, hideCapabilities: ['MOVE'] });
  const rule = { moveTo: 'Done', markRead: false };
  await serverAccount(mailroom, name, dovecot, { user: name, port: withoutMove.port, rule });
  refuse('imap', name, 2);
  expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 3, disposed: 2 });
  for (const pause of [6, 31]) {
    await later(pause * minuteMs);
    expect(await mailroom.import(name)).toMatchObject({ status: 'done', disposed: 0 });
    expect(await inFolder(name, 'Done')).toHaveLength(3);
  }
  refuseNothing('imap');
  await later(121 * minuteMs);
  expect(await mailroom.import(name)).toMatchObject({ status: 'done', disposed: 1 });
  expect([(await inFolder(name, 'Done')).length, await left('imap', name)]).toEqual([3, 0]);
  await withoutMove.stop();
});

it('in a retention one refusal does not keep the other due originals', { timeout: 240_000 }, async () => {
  for (const protocol of protocols) {
    await deliver(protocol, nameOf('due', protocol), mailsOf(protocol, 40));
    await account(protocol, nameOf('due', protocol), { delete: { afterDays: 1 } });
    expect(await mailroom.import(nameOf('due', protocol))).toMatchObject({ imported: 40 });
  }
  await later(25 * 60 * minuteMs);
  for (const protocol of protocols) refuse(protocol, nameOf('due', protocol), 2);
  await retention(mailroom);
  for (const protocol of protocols) {
    const name = nameOf('due', protocol);
    expect([protocol, await left(protocol, name)]).toEqual([protocol, 1]);
    expect(await status(name)).toMatchObject({ deletionsToCome: 0, disposalsFailing: { count: 1 } });
    refuseNothing(protocol);
  }
  await later(6 * minuteMs);
  await retention(mailroom);
  for (const protocol of protocols) expect(await left(protocol, nameOf('due', protocol))).toBe(0);
});

describe.each(protocols)('a process that dies between a deletion and its event: %s', (protocol) => {
  const rules = {
    killed: { delete: 'immediately' },
    moved: { moveTo: 'Done', markRead: true },
  } as const;

  it.each(protocol === 'pop3' ? (['killed'] as const) : (['killed', 'moved'] as const))(
    '%s: the event is published, and the ledger says what was done',
    { timeout: 180_000 },
    async (which) => {
      const name = nameOf(which, protocol);
      await deliver(protocol, name, mailsOf(protocol, 2));
      if (protocol !== 'pop3') await makeFolder(protocol, name, 'Done');
      await account(protocol, name, rules[which]);
      const dying = gate.hold({
        at: 'before',
        fits: ({ service, body }) =>
          service === 'queue' && body.includes('mailroom.mail.disposed') && body.includes(`${name}.`),
      });
      await mailroom.expect(202, 'POST', `/api/accounts/${name}/import`);
      await dying;
      expect(await left(protocol, name)).toBe(0);
      await mailroom.kill();
      gate.release();
      shiftMs += minuteMs;
      await mailroom.run({ shiftMs });
      await mailroom.import(name);
      const reported = (await events.all()).filter(({ type }) => type === 'mailroom.mail.disposed');
      for (const { id } of await mailroom.assets(name)) {
        expect(reported.map(({ subject }) => subject)).toContain(id);
      }
      const ledger = await inboxRows(mailroom, name, 'l:');
      expect(ledger.map(({ columns }) => columns.disposed)).toEqual(['done', 'done']);
      expect(await status(name)).toMatchObject({ disposalsDropped: 0 });
    },
  );
});

it('a deletion is dropped where somebody has filed the mail, counted, and reported with its reason', {
  timeout: 180_000,
}, async () => {
  const name = nameOf('filed', 'graph');
  await deliver('graph', name, mailsOf('graph', 2));
  await account('graph', name, { delete: { afterDays: 1 } });
  expect(await mailroom.import(name)).toMatchObject({ imported: 2 });
  graphBox(name).createFolder('Filed');
  graphBox(name).move(graphBox(name).mails('inbox')[0]?.immutableId ?? '', 'Filed');
  await later(25 * 60 * minuteMs);
  await retention(mailroom);
  expect(graphBox(name).mails('Filed')).toHaveLength(1);
  expect(await status(name)).toMatchObject({ disposalsDropped: 1, disposalsFailing: { count: 0 } });
  const reported = (await events.all()).filter(
    ({ type, subject }) => type === 'mailroom.mail.disposed' && subject.startsWith(`${name}.`),
  );
  expect(reported.map(({ data }) => [data.outcome, data.reason]).sort()).toEqual([
    ['done', undefined],
    ['dropped', 'moved'],
  ]);
});
