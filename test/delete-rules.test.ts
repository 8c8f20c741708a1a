import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { audit, inboxRows } from './support/audit.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { graphAccount } from './support/graph-account.ts';
import { deliverAll } from './support/imap-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { mixedMails, type TestMail } from './support/mails.ts';
import { retention } from './support/retention.ts';
import { serverAccount } from './support/server-account.ts';

/** What becomes of originals: never, at once, or N days after the check-in. The same on every store that there is. */
const protocols = ['imap', 'imaps', 'pop3', 'pop3s', 'graph'] as const;
type Protocol = (typeof protocols)[number];

const dayMs = 86_400_000;
const cases = ['never', 'at-once', 'days', 'canceled'] as const;
/** One mailbox, and one account, for each case on each protocol. */
const boxOf = (protocol: Protocol, which: (typeof cases)[number]) => `${which}-${protocol}`;

let mailroom: Mailroom;
let dovecot: Dovecot;

beforeAll(async () => {
  const graphBoxes = cases.map((which) => ({ userPrincipalName: `${boxOf('graph', which)}@example.com` }));
  const users = protocols.flatMap((protocol) =>
    cases.map((which) => [boxOf(protocol, which), `password of ${protocol}`] as const),
  );
  [mailroom, dovecot] = await Promise.all([
    Mailroom.start({ graph: graphBoxes }),
    startDovecot({ users: Object.fromEntries(users) }),
  ]);
});

afterAll(async () => {
  await mailroom?.stop();
  await dovecot?.remove();
});

async function account(protocol: Protocol, box: string, rule: Readonly<Record<string, unknown>>): Promise<void> {
  if (protocol === 'graph') await graphAccount(mailroom, box, { user: `${box}@example.com`, transport: null, rule });
  else await serverAccount(mailroom, box, dovecot, { protocol, user: box, rule });
}

/** Mails of 2020: their age is nobody's business. */
async function deliver(protocol: Protocol, box: string, mails: readonly TestMail[]): Promise<void> {
  const date = () => new Date(Date.UTC(2020, 0, 1));
  if (protocol !== 'graph') await deliverAll(dovecot, mails, { user: box, date });
  else for (const { bytes } of mails) graphBox(box).deliver(bytes, { receivedAt: date().getTime() });
}

async function left(protocol: Protocol, box: string): Promise<number> {
  if (protocol === 'graph') return graphBox(box).mails('inbox').length;
  const client = await dovecot.client(box);
  try {
    return (await client.uids('INBOX')).length;
  } finally {
    await client.close();
  }
}

const graphBox = (box: string) => mailroom.graph.mailbox(`${box}@example.com`);
const mailsOf = (protocol: Protocol, count: number) => mixedMails(count, 100 + protocols.indexOf(protocol), 60_000);

describe('delete: never', () => {
  it.concurrent.each(protocols)(
    '%s: everything stays, and nothing comes again',
    { timeout: 180_000 },
    async (protocol) => {
      const box = boxOf(protocol, 'never');
      const mails = mailsOf(protocol, 12);
      await deliver(protocol, box, mails);
      await account(protocol, box, { delete: 'never' });
      expect(await mailroom.import(box)).toMatchObject({ status: 'done', imported: 12, disposed: 0 });
      for (let run = 0; run < 2; run += 1) {
        expect(await mailroom.import(box)).toMatchObject({ status: 'done', imported: 0, disposed: 0 });
      }
      expect(await left(protocol, box)).toBe(12);
      await audit(mailroom, box, mails, { compare: 2 });
    },
  );
});

describe('delete: immediately', () => {
  it.concurrent.each(protocols)(
    '%s: imported once, gone at once, whatever runs after it',
    { timeout: 180_000 },
    async (protocol) => {
      const box = boxOf(protocol, 'at-once');
      const mails = mailsOf(protocol, 60);
      await deliver(protocol, box, mails.slice(0, 55));
      await account(protocol, box, { delete: 'immediately' });
      const counts: (readonly number[])[] = [];
      for (let run = 0; run < 4; run += 1) {
        if (run === 2) await deliver(protocol, box, mails.slice(55));
        const { status, error, imported, disposed } = await mailroom.import(box);
        expect([status, error]).toEqual(['done', undefined]);
        counts.push([imported, disposed]);
      }
      expect(counts).toEqual([
        [55, 55],
        [0, 0],
        [5, 5],
        [0, 0],
      ]);
      expect(await left(protocol, box)).toBe(0);
      await audit(mailroom, box, mails, { compare: 3 });
    },
  );
});

describe('delete: { afterDays: 3 }', () => {
  it.concurrent.each(protocols)('%s: the deletions are to come', { timeout: 180_000 }, async (protocol) => {
    const [box, canceled] = [boxOf(protocol, 'days'), boxOf(protocol, 'canceled')];
    await deliver(protocol, box, mailsOf(protocol, 30));
    await deliver(protocol, canceled, mailsOf(protocol, 3));
    for (const each of [box, canceled]) await account(protocol, each, { delete: { afterDays: 3 } });
    expect(await mailroom.import(box)).toMatchObject({ status: 'done', imported: 30, disposed: 0 });
    expect(await mailroom.import(canceled)).toMatchObject({ status: 'done', imported: 3, disposed: 0 });
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${box}/status`);
    expect(json.deletionsToCome).toBe(30);
    // The rule is read again before anything is deleted.
    await account(protocol, canceled, { delete: 'never' });
  });

  describe('71 hours and 58 minutes after the check-in', () => {
    beforeAll(async () => {
      await mailroom.setClock(3 * dayMs - 120_000);
      await retention(mailroom);
    });

    it.concurrent.each(protocols)('%s: nothing is deleted', async (protocol) => {
      expect(await left(protocol, boxOf(protocol, 'days'))).toBe(30);
      expect(await mailroom.import(boxOf(protocol, 'days'))).toMatchObject({ imported: 0, disposed: 0 });
    });
  });

  describe('72 hours and some minutes after the check-in', () => {
    beforeAll(async () => {
      await mailroom.setClock(3 * dayMs + 600_000);
      await retention(mailroom);
    }, 90_000);

    it.concurrent.each(protocols)(
      '%s: all of it is deleted, and nothing comes again',
      { timeout: 180_000 },
      async (protocol) => {
        const box = boxOf(protocol, 'days');
        expect(await left(protocol, box)).toBe(0);
        for (let run = 0; run < 2; run += 1) {
          expect(await mailroom.import(box)).toMatchObject({ status: 'done', imported: 0 });
        }
        await audit(mailroom, box, mailsOf(protocol, 30), { compare: 2 });
        expect(await inboxRows(mailroom, box, 'd:')).toEqual([]);
      },
    );

    it.concurrent.each(protocols)(
      '%s: what the rule no longer wants deleted stays, also when it changes back',
      async (protocol) => {
        const box = boxOf(protocol, 'canceled');
        expect(await left(protocol, box)).toBe(3);
        expect(await inboxRows(mailroom, box, 'd:')).toEqual([]);
        await account(protocol, box, { delete: { afterDays: 3 } });
      },
    );

    describe('and with the rule as it was', () => {
      beforeAll(() => retention(mailroom));

      it.concurrent.each(protocols)('%s: still nothing of it is deleted', async (protocol) => {
        expect(await left(protocol, boxOf(protocol, 'canceled'))).toBe(3);
      });
    });
  });
});
