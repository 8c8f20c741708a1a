import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inboxRows } from './support/audit.ts';
import { random, type TestMail, testMail } from './support/mails.ts';
import { retention } from './support/retention.ts';
import {
  blob,
  event,
  type Moment,
  protocolsAt,
  type StopProtocol,
  StopStage,
  stopProtocols,
  table,
} from './support/stop-stage.ts';
import { assetBlobs, auditStorage } from './support/storage-audit.ts';

/** A process is stopped at every moment of an import, each with accounts of its own. */

const importMoments: readonly Moment[] = [
  { when: 'before the page is noted', at: 'before', ...table("RowKey='w%3A") },
  { when: 'when the page is noted', at: 'after', ...table("RowKey='w%3A") },
  { when: 'before the mail is written', at: 'before', ...blob('message.eml') },
  { when: 'when the mail is written', at: 'after', ...blob('message.eml') },
  { when: 'before an attachment is written', at: 'before', ...blob('attachments/') },
  { when: 'before the description is written', at: 'before', ...blob('asset.json') },
  { when: 'when the description is written', at: 'after', ...blob('asset.json') },
  { when: 'before the commit', at: 'before', ...table('"todoEvent":true') },
  { when: 'when it is committed', at: 'after', ...table('"todoEvent":true') },
  { when: 'before the event', at: 'before', ...event },
  { when: 'when the event is published', at: 'after', ...event },
  { when: 'before the disposal is noted', at: 'before', ...table('"disposing":true') },
  { when: 'when the disposal is noted', at: 'after', ...table('"disposing":true') },
  { when: 'before the end is written down', at: 'before', ...table('"todoEvent":false') },
];

const everyMoment = importMoments.map((moment, n) => ({ ...moment, n }));

let stage: StopStage;

const accountsOf = (n: number) => protocolsAt(n).map((protocol) => ({ protocol, name: `stop${n}-${protocol}` }));

beforeAll(async () => {
  stage = await StopStage.start(everyMoment.flatMap(({ n }) => accountsOf(n)));
}, 120_000);

afterAll(async () => {
  await stage?.stop();
});

function mailsOf(protocol: StopProtocol, n: number): TestMail[] {
  const next = random(1_000 * n + stopProtocols.indexOf(protocol));
  return Array.from({ length: 3 }, (_, each) => testMail({ n: each, attachment: 2_000 }, next));
}

describe('a process that is stopped while it imports', () => {
  it.each(everyMoment)('$when', { timeout: 180_000 }, async ({ n, when: _, ...moment }) => {
    const { mailroom } = stage;
    const accounts = accountsOf(n);
    const rule = { delete: 'immediately', deleteMode: 'permanent' };
    for (const account of accounts) await stage.setUp(account, mailsOf(account.protocol, n), rule);
    await stage.stopAt(accounts, moment, {
      function: 'mail-import',
      times: accounts.length,
      begin: async () => {
        for (const { name } of accounts) await mailroom.expect(202, 'POST', `/api/accounts/${name}/import`);
      },
      meanwhile: async () => {
        for (const account of accounts) await stage.importBeside(account);
      },
    });
    for (const account of accounts) {
      await stage.importBeside(account);
      await auditStorage(mailroom, account.name, mailsOf(account.protocol, n));
      expect(await stage.left(account)).toBe(0);
    }
    const reported = await stage.events.all();
    for (const { name } of accounts) {
      for (const { id } of await mailroom.assets(name)) {
        const types = new Set(reported.filter(({ subject }) => subject === id).map(({ type }) => type));
        expect([...types].sort()).toEqual(['mailroom.mail.disposed', 'mailroom.mail.imported']);
      }
    }
  });

  it('leaves no blob behind that is not an asset’s, a day later', { timeout: 180_000 }, async () => {
    const { mailroom } = stage;
    await stage.endSecond();
    await mailroom.setClock(25 * 3_600_000);
    await retention(mailroom);
    for (const { name } of everyMoment.flatMap(({ n }) => accountsOf(n))) {
      expect(await inboxRows(mailroom, name, 'y:')).toEqual([]);
      const ids = new Set((await mailroom.assets(name)).map(({ id }) => id));
      expect((await assetBlobs(mailroom, name)).filter((path) => !ids.has(path.split('/')[1]))).toEqual([]);
    }
  });
});
