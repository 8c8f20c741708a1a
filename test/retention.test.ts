import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { mailboxAccount, passwordOf, simpleMail } from './support/mailbox-account.ts';
import { type Answer, Mailroom, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { endedRecord, openMessages, send } from './support/sending.ts';
import { assetBlobs } from './support/storage-audit.ts';
import { WebhookReceiver } from './support/webhook-receiver.ts';

const day = 86_400_000;

let mailroom: Mailroom;
let imap: ImapMailbox;
let target: WebhookReceiver;
let asset: Answer['json'];
let id = '';

beforeAll(async () => {
  target = await WebhookReceiver.start({ answer: () => ({ status: 500 }) });
  [mailroom, imap] = await Promise.all([
    Mailroom.start({
      env: {
        OUTBOX_RETENTION_DAYS: '10',
        ASSET_RETENTION_DAYS: '20',
        RECORD_RETENTION_DAYS: '50',
        WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
      },
    }),
    startImapMailbox({ accounts: [{ user: 'corpus', password: passwordOf('corpus') }] }),
  ]);
  imap.deliver('corpus', simpleMail('old'));
  await mailroom.secret('corpus', 'corpus-webhook', 'a text to sign with');
  await mailboxAccount(
    mailroom,
    imap,
    'corpus',
    {},
    {
      transport: { protocol: 'sink' },
      webhook: { url: target.url, secret: 'corpus-webhook', events: ['mailroom.message.*'] },
    },
  );
  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 1 });
  [asset] = await mailroom.assets('corpus');
  ({ id } = await send(mailroom, 'corpus'));
  expect((await endedRecord(mailroom, id)).status).toBe('sent');
  await target.got(id);
  // A process that ends before publishes the event once more.
  await until('closed books', 60, async () => (await openMessages(mailroom)).length === 0);
}, 120_000);

afterAll(async () => {
  await mailroom?.stop();
  await imap?.stop();
  await target?.stop();
});

/** What is there of what was made on the first day, so many days later and after a retention. */
async function after(days: number) {
  await mailroom.setClock(days * day);
  await mailroom.fireToEnd('retention');
  const status = async (path: string) => (await mailroom.call('GET', path)).status;
  const webhook = (await mailroom.expect(200, 'GET', '/api/accounts/corpus/webhook')).json;
  return {
    mime: await status(`/api/messages/${id}/mime`),
    record: await status(`/api/messages/${id}`),
    asset: await status(`/api/assets/${asset.id}`),
    assetMime: await status(`/api/assets/${asset.id}/mime`),
    blobs: (await assetBlobs(mailroom, 'corpus')).filter((name) => name.includes(asset.id)).length,
    givenUp: webhook.givenUp,
    waiting: webhook.waiting,
  };
}

const there = { mime: 200, record: 200, asset: 200, assetMime: 200, blobs: 2, waiting: 0 };
const gone = { asset: 404, assetMime: 404, blobs: 0, waiting: 0 };

it('removes each thing after the days that its setting says, and no other', { timeout: 240_000 }, async () => {
  expect(await after(9)).toEqual({ ...there, givenUp: 1 });
  expect(await after(11)).toEqual({ ...there, mime: 404, givenUp: 1 });
  expect(await after(19)).toEqual({ ...there, mime: 404, givenUp: 1 });
  imap.deliver('corpus', simpleMail('new'));
  expect(await mailroom.import('corpus')).toMatchObject({ imported: 1 });
  expect(await after(21)).toEqual({ ...gone, mime: 404, record: 200, givenUp: 1 });
  // The mailbox still has it, and the ledger remembers.
  expect(imap.mails('corpus')).toHaveLength(2);
  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0 });
  expect((await mailroom.assets('corpus')).map(({ subject }) => subject)).toEqual(['new']);
  expect(await after(38)).toEqual({ ...gone, mime: 404, record: 200, givenUp: 1 });
  // What was given up on the ninth day is kept for thirty.
  expect(await after(40)).toEqual({ ...gone, mime: 404, record: 200, givenUp: 0 });
  expect(await after(51)).toEqual({ ...gone, mime: 404, record: 404, givenUp: 0 });
  problem(await mailroom.call('GET', `/api/messages/${id}`), 404);
  expect((await mailroom.expect(200, 'GET', '/api/messages?account=corpus')).json.items).toEqual([]);
  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0 });
});
