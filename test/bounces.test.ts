import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inboxRows } from './support/audit.ts';
import { bounceMail } from './support/bounce-mail.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { graphAccount } from './support/graph-account.ts';
import { deliverAll } from './support/imap-account.ts';
import { catcher, type StorageMoment } from './support/kill-moments.ts';
import { documentedEvents, logLines } from './support/log-lines.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { EventReader, endedRecord, openMessages, recordOf, send, smtpAccount } from './support/sending.ts';
import { serverAccount } from './support/server-account.ts';
import { event, table } from './support/stop-stage.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

/** A bounce that is imported reaches the message that it is about, once, whenever the process is killed. */

type Protocol = 'imap' | 'pop3' | 'graph';

/** `account`: whose request it is, that of the sender or that of the mailbox with the bounce. */
interface KillCase extends StorageMoment {
  readonly when: string;
  readonly account: 'sender' | 'mailbox';
  readonly protocol: Protocol;
}

const committed = { account: 'mailbox', ...table('"todoBounce":true') } as const;
const recordWrite = { account: 'sender', ...table('bounced') } as const;
const published = { account: 'sender', ...event } as const;

const moments: readonly Omit<KillCase, 'protocol'>[] = [
  { when: 'before the commit', at: 'before', ...committed },
  { when: 'when it is committed', at: 'after', ...committed },
  { when: 'before the record is written', at: 'before', ...recordWrite },
  { when: 'when the record is written', at: 'after', ...recordWrite },
  { when: 'before its event', at: 'before', ...published },
  { when: 'after its event', at: 'after', ...published },
  { when: 'before its end is written down', at: 'before', account: 'mailbox', ...table('"todoBounce":false') },
  { when: 'when its end is written down', at: 'after', account: 'mailbox', ...table('"todoBounce":false') },
];
const cases: readonly KillCase[] = [
  ...moments.map((moment) => ({ ...moment, protocol: 'imap' as const })),
  { when: 'when it is committed', at: 'after', ...committed, protocol: 'pop3' },
  { when: 'when the record is written', at: 'after', ...recordWrite, protocol: 'pop3' },
  { when: 'when it is committed', at: 'after', ...committed, protocol: 'graph' },
  { when: 'when the record is written', at: 'after', ...recordWrite, protocol: 'graph' },
];

const killed = cases.map((each, n) => ({ ...each, n, mailbox: `mailbox${n}`, sender: `sender${n}` }));
const plain = (['imap', 'pop3', 'graph'] as const).map((protocol) => ({ protocol, mailbox: `plain-${protocol}` }));
const mailboxes = [...killed, ...plain];
/** Accounts whose Exchange puts a Message-ID of its own into what it sends. */
const renaming = ['draft', 'direct'] as const;

let gate: StorageGate;
let mailroom: Mailroom;
let dovecot: Dovecot;
let smtp: ScriptedSmtp;
let events: EventReader;
let aheadMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, dovecot, smtp] = await Promise.all([
    Mailroom.start({
      env: (azurite) => ({
        MailStorage: gate.lead(azurite),
        // All the imports below are held at the same time.
        AzureFunctionsJobHost__extensions__queues__batchSize: '32',
        AzureFunctionsJobHost__extensions__queues__newBatchThreshold: '32',
      }),
      graph: [
        ...mailboxes
          .filter(({ protocol }) => protocol === 'graph')
          .map(({ mailbox }) => ({ userPrincipalName: `${mailbox}@example.com` })),
        ...renaming.map((name) => ({ userPrincipalName: `${name}@example.com`, ownMessageIds: true })),
      ],
    }),
    startDovecot({ users: Object.fromEntries(mailboxes.map(({ mailbox }) => [mailbox, `password of ${mailbox}`])) }),
    startScriptedSmtp(),
  ]);
  events = new EventReader(mailroom);
  const rule = { delete: 'immediately', deleteMode: 'permanent' };
  for (const { protocol, mailbox } of mailboxes) {
    const user = `${mailbox}@example.com`;
    if (protocol === 'graph') await graphAccount(mailroom, mailbox, { user, transport: null, rule });
    else await serverAccount(mailroom, mailbox, dovecot, { protocol, user: mailbox, rule });
  }
  for (const name of ['plain', ...killed.map(({ sender }) => sender)]) {
    await smtpAccount(mailroom, name, { port: smtp.port });
  }
}, 240_000);

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await smtp?.stop();
  await dovecot?.remove();
  await gate?.stop();
});

async function deliver({ protocol, mailbox }: { protocol: Protocol; mailbox: string }, bytes: Buffer): Promise<void> {
  if (protocol === 'graph') mailroom.graph.mailbox(`${mailbox}@example.com`).deliver(bytes);
  else await deliverAll(dovecot, [{ bytes }], { user: mailbox });
}

/** Sends a mail that ends as sent, with nothing left to do for it. */
async function sentBy(account: string, to: readonly string[]) {
  const mail = await send(mailroom, account, { to });
  expect((await endedRecord(mailroom, mail.id)).status).toBe('sent');
  await until('closed books', 60, async () => (await openMessages(mailroom)).length === 0);
  return mail;
}

const bouncedEvents = async (id: string) =>
  (await events.all()).filter(({ type, subject }) => type === 'mailroom.message.bounced' && subject === id);

describe.each(plain)('a bounce that arrives by $protocol, at another account', ({ protocol, mailbox }) => {
  it('sets the recipient that it names to bounced, and is published', { timeout: 180_000 }, async () => {
    const { id, messageId } = await sentBy('plain', ['anna@example.org', 'bob@example.org']);
    await deliver({ protocol, mailbox }, bounceMail({ messageId, recipient: 'ANNA@Example.org' }));
    expect(await mailroom.import(mailbox)).toMatchObject({ status: 'done', imported: 1 });
    expect(await recordOf(mailroom, id)).toMatchObject({
      status: 'sent',
      recipients: [
        {
          address: 'anna@example.org',
          status: 'bounced',
          code: '5.1.1',
          reply: '550 5.1.1 There is no such user',
        },
        { address: 'bob@example.org', status: 'accepted' },
      ],
    });
    const [asset] = await mailroom.assets(mailbox);
    expect(asset.bounce).toMatchObject({ messageId, messageRecord: id });
    expect((await mailroom.expect(200, 'GET', `/api/assets/${asset.id}`)).json.bounce.messageRecord).toBe(id);
    expect(await bouncedEvents(id)).toMatchObject([
      {
        id: `mailroom.message.bounced:${id}:${asset.id}`,
        source: '/accounts/plain',
        time: asset.importedAt,
        data: { status: 'sent', messageId, assetId: asset.id, recipients: { bounced: 1 } },
      },
    ]);
  });

  it('changes nothing where it is late only, or names nobody of the mail', { timeout: 180_000 }, async () => {
    const { id, messageId } = await sentBy('plain', ['anna@example.org']);
    const before = await recordOf(mailroom, id);
    await deliver({ protocol, mailbox }, bounceMail({ messageId, recipient: 'anna@example.org', action: 'delayed' }));
    await deliver({ protocol, mailbox }, bounceMail({ messageId, recipient: 'eve@example.org', n: 2 }));
    const other = '<not-ours@example.net>';
    await deliver({ protocol, mailbox }, bounceMail({ messageId: other, recipient: 'anna@example.org', n: 3 }));
    expect(await mailroom.import(mailbox)).toMatchObject({ status: 'done', imported: 3 });
    expect(await recordOf(mailroom, id)).toEqual(before);
    expect(await bouncedEvents(id)).toEqual([]);
  });
});

it('each that changed a record is a line of the log, with the fields that are documented', async () => {
  const lines = logLines(await mailroom.log()).filter((line) => line.event === 'outbox.bounced');
  expect(lines).toHaveLength(plain.length);
  const fields = [...(documentedEvents().fields('outbox.bounced') ?? []), 'event'].sort();
  for (const line of lines) expect(Object.keys(line).filter((field) => !fields.includes(field))).toEqual([]);
  expect(lines[0]).toMatchObject({ account: 'plain', recipients: 1 });
});

describe('a bounce with another Message-ID than that of the mail', { timeout: 90_000 }, () => {
  const imported = async (bytes: Buffer) => {
    await deliver({ protocol: 'graph', mailbox: 'plain-graph' }, bytes);
    expect(await mailroom.import('plain-graph')).toMatchObject({ status: 'done', imported: 1 });
    const [asset] = await mailroom.assets('plain-graph');
    return (await mailroom.expect(200, 'GET', `/api/assets/${asset.id}`)).json;
  };
  const sentByGraph = async (name: (typeof renaming)[number]) => {
    const user = `${name}@example.com`;
    await graphAccount(mailroom, name, { user, transport: { sendMode: name } });
    const { id, messageId } = await sentBy(name, ['anna@example.org']);
    const [sent] = mailroom.graph.sent(user);
    expect(sent?.messageId).toMatch(/^<.+@.+>$/);
    expect(sent?.messageId).not.toBe(messageId);
    return { id, messageId, bounce: bounceMail({ messageId: sent?.messageId ?? '', recipient: 'anna@example.org' }) };
  };
  const statusesOf = async (id: string) => (await recordOf(mailroom, id)).recipients.map(({ status }) => status);

  it('is passed on where the relay said the id that it puts there (Amazon SES)', async () => {
    const renamed = '0100019a2b3c4d5e-6f708192-a3b4-c5d6-e7f8-091a2b3c4d5e-000000';
    smtp.answers((step) => (step === 'END' ? `250 Ok ${renamed}` : undefined));
    const { id, messageId } = await sentBy('plain', ['anna@example.org', 'bob@example.org']);
    const bounce = bounceMail({ messageId: `<${renamed}@email.amazonses.com>`, recipient: 'bob@example.org' });
    expect((await imported(bounce)).bounce.messageRecord).toBe(id);
    expect(await statusesOf(id)).toEqual(['accepted', 'bounced']);
    expect(await bouncedEvents(id)).toMatchObject([{ data: { messageId, recipients: { bounced: 1 } } }]);
    smtp.answers(() => undefined);
  });

  it('is passed on where Graph says the id that it gives to the draft', async () => {
    const { id, messageId, bounce } = await sentByGraph('draft');
    expect((await imported(bounce)).bounce.messageRecord).toBe(id);
    expect(await statusesOf(id)).toEqual(['bounced']);
    expect(await bouncedEvents(id)).toMatchObject([{ data: { messageId, recipients: { bounced: 1 } } }]);
  });

  it('stands for itself where nobody said the id, as with sendMode direct', async () => {
    const { id, bounce } = await sentByGraph('direct');
    const asset = await imported(bounce);
    expect(asset.flags.bounce).toBe(true);
    expect(asset.bounce.messageRecord).toBeUndefined();
    expect(await statusesOf(id)).toEqual(['accepted']);
    expect(await bouncedEvents(id)).toEqual([]);
  });
});

describe('a process that is killed while it imports bounces, each at another moment', () => {
  const mails = new Map<string, { readonly id: string; readonly messageId: string }>();

  /** Starts the killed process again when every lease has lapsed, and every pause is over. */
  async function runLater(): Promise<void> {
    aheadMs += 600_000;
    await mailroom.run({ shiftMs: aheadMs });
  }

  beforeAll(async () => {
    for (const { mailbox, protocol, sender, n } of killed) {
      const mail = await send(mailroom, sender, { to: ['anna@example.org', 'bob@example.org'] });
      mails.set(sender, mail);
      await deliver({ protocol, mailbox }, bounceMail({ ...mail, recipient: 'anna@example.org', n }));
    }
    for (const { id } of mails.values()) expect((await endedRecord(mailroom, id)).status).toBe('sent');
    await until('closed books', 60, async () => (await openMessages(mailroom)).length === 0);
    const caught = killed.map(({ account, sender, mailbox, at, when: _, ...moment }) => {
      const fits = catcher(account === 'sender' ? sender : mailbox, { ...moment, at });
      return gate.hold({ fits, at });
    });
    for (const { mailbox } of killed) await mailroom.expect(202, 'POST', `/api/accounts/${mailbox}/import`);
    await Promise.all(caught);
    await mailroom.kill();
    gate.release();
    await runLater();
    for (const { mailbox } of killed) await mailroom.import(mailbox);
    // A mail whose page was cut short waits a while before it is fetched again.
    await mailroom.kill();
    await runLater();
    for (const { mailbox } of killed) await mailroom.import(mailbox);
  }, 240_000);

  it.each(killed)('$when, by $protocol: it is passed on, under one id', async ({ mailbox, sender }) => {
    const { id } = mails.get(sender) ?? { id: '' };
    expect((await recordOf(mailroom, id)).recipients.map(({ status }) => status)).toEqual(['bounced', 'accepted']);
    const [asset, ...more] = await mailroom.assets(mailbox);
    expect(more).toEqual([]);
    expect(asset.bounce.messageRecord).toBe(id);
    const published = await bouncedEvents(id);
    expect(new Set(published.map((each) => each.id))).toEqual(new Set([`mailroom.message.bounced:${id}:${asset.id}`]));
    expect(new Set(published.map(({ data }) => JSON.stringify(data))).size).toBe(1);
    const rows = await inboxRows(mailroom, mailbox);
    expect(rows.filter(({ key }) => /^[uwpx]:/.test(key))).toEqual([]);
    const [ledger] = rows.filter(({ key }) => key.startsWith('l:'));
    expect(ledger?.columns).toMatchObject({ todoBounce: false, todoEvent: false, disposed: 'done' });
  });
});
