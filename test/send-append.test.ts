import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dateOf, frozenMime, mailboxAccess, mailsIn } from './support/append-account.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { catcher, type StorageMoment } from './support/kill-moments.ts';
import { Mailroom, until } from './support/mailroom.ts';
import type { RawImap } from './support/raw-imap.ts';
import {
  EventReader,
  endedRecord,
  openMessages,
  recordOf,
  recordWhen,
  send,
  waitingRecord,
} from './support/sending.ts';
import { type StallProxy, startStallProxy } from './support/stall-proxy.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

const minute = 60_000;

let gate: StorageGate;
let mailroom: Mailroom;
let dovecot: Dovecot;
let witness: RawImap;
let events: EventReader;
let shiftMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  [mailroom, dovecot] = await Promise.all([
    Mailroom.start({
      env: (azurite) => ({
        MailStorage: gate.lead(azurite),
        AzureFunctionsJobHost__extensions__queues__batchSize: '32',
        AzureFunctionsJobHost__extensions__queues__newBatchThreshold: '32',
      }),
    }),
    startDovecot({ users: { tester: 'password of tester' } }),
  ]);
  witness = await dovecot.client();
  events = new EventReader(mailroom);
}, 60_000);

afterAll(async () => {
  gate?.release();
  await witness?.close();
  await mailroom?.stop();
  await gate?.stop();
  await dovecot?.remove();
});

/** An account that sends by appending to a folder, and imports it. */
async function appendAccount(name: string, folder: string, port?: number): Promise<void> {
  const access = await mailboxAccess(mailroom, name, dovecot, 'tester', port);
  await mailroom.expect([200, 201], 'PUT', `/api/accounts/${name}`, {
    body: {
      from: `${name} <${name}@example.com>`,
      transport: { ...access, folder },
      store: { ...access, port: dovecot.ports.imap, folders: [folder] },
      import: { schedule: null },
    },
  });
}

async function later(ms: number): Promise<void> {
  shiftMs += ms;
  await mailroom.kill();
  await mailroom.run({ shiftMs });
  await mailroom.fire('outbox-recovery');
}

describe('a mail sent by IMAP', () => {
  const folder = 'Post & Eingänge';
  const wireFolder = 'Post &- Eing&AOQ-nge';

  beforeAll(async () => {
    await witness.createFolder(wireFolder);
    await appendAccount('letters', folder);
  });

  it('lies in the folder byte for byte, new, with its date, and without its Bcc', async () => {
    const { id } = await send(mailroom, 'letters', {
      to: ['anna@example.org', 'bert@example.org'],
      bcc: 'hidden@example.org',
      attachments: [{ filename: 'zahlen.bin', content: Buffer.alloc(100_000, 'Zahl').toString('base64') }],
    });
    const record = await endedRecord(mailroom, id);
    expect(record.status).toBe('sent');
    expect(record.recipients.map(({ address, status, code }) => [address, status, code])).toEqual(
      ['anna', 'bert', 'hidden'].map((name) => [`${name}@example.org`, 'accepted', 'OK']),
    );
    const [found, ...more] = await mailsIn(witness, wireFolder);
    expect(more).toEqual([]);
    expect(found?.bytes.equals(await frozenMime(mailroom, id))).toBe(true);
    expect(found?.bytes.includes('hidden@example.org')).toBe(false);
    expect(found?.flags).toEqual([]);
    expect(found?.date).toBe(dateOf(found?.bytes ?? Buffer.alloc(0)));
    const reported = await events.about(id);
    expect(reported.map(({ type }) => type)).toEqual(['mailroom.message.sent']);
  });

  it('that came ready-made has the date of its header', async () => {
    const mail =
      'From: letters@example.com\r\nTo: anna@example.org\r\nDate: Tue, 04 Mar 2025 08:00:00 +0200\r\n\r\nold\r\n';
    const { json } = await mailroom.expect([200, 202], 'POST', '/api/accounts/letters/messages', {
      raw: Buffer.from(mail),
      headers: { 'content-type': 'message/rfc822' },
    });
    await endedRecord(mailroom, json.id);
    const found = (await mailsIn(witness, wireFolder)).find(({ bytes }) => bytes.includes('\r\nold\r\n'));
    expect(found?.date).toBe(Date.UTC(2025, 2, 4, 6));
  });

  it('is imported from that folder like any other', async () => {
    const run = await mailroom.import('letters');
    expect(run).toMatchObject({ status: 'done', imported: 2 });
    const assets = await mailroom.assets('letters');
    const subjects = assets.map(({ subject }) => subject ?? '');
    expect(subjects).toContain('Zahlen');
  });

  it('waits when its folder is not there, and the account is reported to fail, once', async () => {
    await appendAccount('astray', 'Nowhere');
    const { id } = await send(mailroom, 'astray');
    const record = await waitingRecord(mailroom, id);
    expect(record.recipients[0]).toMatchObject({ status: 'deferred', code: 'TRYCREATE' });
    const failing = await events.about('astray/transport');
    expect(failing.map(({ type }) => type)).toEqual(['mailroom.account.failing']);
    await witness.createFolder('Nowhere');
    await later(2 * minute);
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    expect(await mailsIn(witness, 'Nowhere')).toHaveLength(1);
  });
});

interface Moment {
  readonly when: string;
  readonly caught: { readonly storage: StorageMoment } | 'answer';
  readonly attempts: readonly string[];
}

const table = (at: 'before' | 'after', text: string) => ({ storage: { at, service: 'table', text } as const });

/** Around the commit point of an APPEND (design section 4). */
const moments: readonly Moment[] = [
  {
    when: 'where the folder stands is noted, committing is not durable',
    caught: table('after', '"remembered":'),
    attempts: ['interrupted', 'sent'],
  },
  {
    when: 'committing is durable, the last bytes have not left',
    caught: table('after', '"committing":true'),
    attempts: ['deferred', 'sent'],
  },
  { when: 'the text has left, no answer came', caught: 'answer', attempts: ['sent'] },
  {
    when: 'the server said yes, the receipt is not written',
    caught: table('before', '"status":"sent"'),
    attempts: ['sent'],
  },
];

describe('killed around the commit point of an APPEND', () => {
  const cases: { readonly folder: string; readonly id: string; readonly proxy: StallProxy | undefined }[] = [];

  beforeAll(async () => {
    const reached: Promise<unknown>[] = [];
    for (const [n, { caught }] of moments.entries()) {
      const folder = `moment-${n}`;
      await witness.createFolder(folder);
      const proxy =
        caught === 'answer' ? await startStallProxy({ host: dovecot.host, port: dovecot.ports.imap }) : undefined;
      await appendAccount(folder, folder, proxy?.port);
      proxy?.trouble({ direction: 'toClient', at: 'APPENDUID', action: 'silent' });
      if (caught !== 'answer') {
        reached.push(gate.hold({ at: caught.storage.at, fits: catcher(folder, caught.storage) }));
      }
      cases.push({ folder, id: (await send(mailroom, folder)).id, proxy });
    }
    await Promise.all(reached);
    const silent = moments.findIndex(({ caught }) => caught === 'answer');
    await until('the mail whose answer is kept back', 60, async () => (await found(silent)).length === 1);
    await mailroom.kill();
    gate.release();
    for (const { proxy } of cases) proxy?.reset();
    await later(3 * minute);
    const inDoubt = moments.findIndex(({ attempts }) => attempts.includes('deferred'));
    const { id } = cases[inDoubt] ?? expect.fail('no such case');
    // The others end now; killed in the middle once more, they would be other cases.
    for (const other of cases) if (other.id !== id) await endedRecord(mailroom, other.id, 60);
    // Nobody can say yet: a slow server might still be at it.
    await recordWhen(mailroom, id, 'asked about', ({ status }) => status === 'sending');
    await later(9 * minute);
    await waitingRecord(mailroom, id);
    await later(2 * minute);
  }, 120_000);

  afterAll(async () => {
    for (const { proxy } of cases) await proxy?.stop();
  });

  const found = (n: number) => mailsIn(witness, cases[n]?.folder ?? '');

  it.each(moments.map((moment, n) => ({ ...moment, n })))('$when: exactly one mail', async ({ n, attempts }) => {
    const { id } = cases[n] ?? expect.fail('no such case');
    const record = await endedRecord(mailroom, id);
    expect(record.status).toBe('sent');
    expect(record.attempts.map(({ outcome }) => outcome)).toEqual(attempts);
    const mails = await found(n);
    const frozen = await frozenMime(mailroom, id);
    expect(mails.map(({ bytes }) => bytes.toString('latin1'))).toEqual([frozen.toString('latin1')]);
  });

  it('leaves nothing for the recovery timer', async () => {
    await until('no open messages', 60, async () => (await openMessages(mailroom)).length === 0);
    for (const { id } of cases) expect((await recordOf(mailroom, id)).status).toBe('sent');
  });
});

describe('a mail whose end is uncertain, sent again by a person', () => {
  it('is looked for in the folder first, and not appended again', { timeout: 180_000 }, async () => {
    const name = 'doubtful';
    await witness.createFolder(name);
    const proxy = await startStallProxy({ host: dovecot.host, port: dovecot.ports.imap });
    try {
      await appendAccount(name, name, proxy.port);
      proxy.trouble({ direction: 'toClient', at: 'APPENDUID', action: 'silent' });
      const { id } = await send(mailroom, name);
      await until('the mail in the folder', 60, async () => (await mailsIn(witness, name)).length === 1);
      proxy.reset();
      // Nobody finds out for as long as it is tried.
      proxy.trouble({ direction: 'toServer', at: 'SEARCH', action: 'cut' });
      await recordWhen(mailroom, id, 'being sent', ({ status }) => status === 'sending');
      await later(16 * minute);
      expect((await endedRecord(mailroom, id, 60)).status).toBe('uncertain');
      proxy.reset();
      await mailroom.expect(202, 'POST', `/api/messages/${id}/resend`);
      const record = await endedRecord(mailroom, id, 60);
      expect(record.attempts.map(({ outcome }) => outcome)).toEqual(['uncertain', 'resend', 'sent']);
      expect(await mailsIn(witness, name)).toHaveLength(1);
    } finally {
      await proxy.stop();
    }
  });
});
