import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catcher, type KillMoment, killMoments } from './support/kill-moments.ts';
import { type Beside, Mailroom, until } from './support/mailroom.ts';
import { miscounted, readOutbox } from './support/outbox-audit.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { EventReader, openMessages, smtpAccount } from './support/sending.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

/** Every lease has lapsed for a process whose clock is so far ahead: nobody has to wait. */
const aheadMs = 3 * 60_000;

let gate: StorageGate;
let mailroom: Mailroom;
let other: Beside;
let events: EventReader;

beforeAll(async () => {
  gate = await startStorageGate();
  mailroom = await Mailroom.start({
    env: (azurite) => ({
      MailStorage: gate.lead(azurite),
      AzureFunctionsJobHost__extensions__queues__batchSize: '32',
      AzureFunctionsJobHost__extensions__queues__newBatchThreshold: '32',
    }),
  });
  events = new EventReader(mailroom);
}, 60_000);

afterAll(async () => {
  if (mailroom?.pid) process.kill(mailroom.pid, 'SIGCONT');
  gate?.release();
  await mailroom?.stop();
  await gate?.stop();
});

class Case {
  readonly moment: KillMoment;
  readonly account: string;
  readonly server: ScriptedSmtp;
  readonly reached: Promise<unknown>;
  answer: Promise<string | undefined> = Promise.resolve(undefined);
  id = '';

  private constructor(moment: KillMoment, account: string, server: ScriptedSmtp, reached: Promise<unknown>) {
    this.moment = moment;
    this.account = account;
    this.server = server;
    this.reached = reached;
  }

  static async prepare(moment: KillMoment, n: number): Promise<Case> {
    const account = `stop-${n}`;
    const { caught } = moment;
    let silent: (() => void) | undefined;
    const fallsSilent = new Promise<void>((resolve) => {
      silent = resolve;
    });
    let putOff = moment.putOff === true;
    const server = await startScriptedSmtp({
      answer(step) {
        if (putOff && step === 'RCPT') {
          putOff = false;
          return '450 4.7.1 come again';
        }
        if (silent === undefined || !('smtp' in caught) || step !== caught.smtp) return undefined;
        silent();
        silent = undefined;
        return { next: 'silent' };
      },
    });
    await smtpAccount(mailroom, account, { port: server.port, timeout: 5_000 });
    const reached =
      'smtp' in caught ? fallsSilent : gate.hold({ at: caught.storage.at, fits: catcher(account, caught.storage) });
    return new Case(moment, account, server, reached);
  }

  /** Hands the mail in, always the same under the same key; `url`: to another process than the first. */
  async post(options: { readonly wait?: boolean | undefined; readonly url?: string } = {}): Promise<string> {
    const text = 'Zeile um Zeile um Zeile. '.repeat((this.moment.size ?? 3_000) / 25);
    const headers = { 'idempotency-key': 'the same', ...(options.wait ? { prefer: 'wait=30' } : {}) };
    const { json } = await mailroom.expect([200, 202], 'POST', `/api/accounts/${this.account}/messages`, {
      body: { to: 'anna@example.org', subject: 'Zahlen', text },
      headers,
      ...(options.url === undefined ? {} : { url: options.url }),
    });
    return json.id;
  }

  async record(url: string) {
    return (await mailroom.expect(200, 'GET', `/api/messages/${this.id}`, { url })).json;
  }

  get copies(): number {
    return this.server.mails.filter(({ recipients }) => recipients.length > 0).length;
  }
}

const open = ['scheduled', 'queued', 'sending'];

describe('stopped in every state of a send for longer than any lease, while another process goes on', () => {
  const cases: Case[] = [];
  let recordsBefore: unknown[] = [];

  beforeAll(async () => {
    cases.push(...(await Promise.all(killMoments.map(Case.prepare))));
    const waiting = new Set(cases);
    for (const each of cases) void each.reached.then(() => waiting.delete(each));
    for (const each of cases) each.answer = each.post({ wait: each.moment.wait }).catch(() => undefined);
    await until('every moment', 120, async () => waiting.size === 0).catch(() => {
      expect.fail(`not reached: ${[...waiting].map(({ moment }) => moment.when).join('; ')}`);
    });
    process.kill(mailroom.pid, 'SIGSTOP');
    other = await mailroom.beside({ shiftMs: aheadMs });
    // Callers without an answer ask again, at a process that answers; the others get the message that there is.
    for (const each of cases) each.id = await each.post({ url: other.url });
    await mailroom.expect(202, 'POST', '/admin/functions/outbox-recovery', { body: {}, url: other.url });
    await until('all ended', 60, async () => {
      const records = await Promise.all(cases.map((each) => each.record(other.url)));
      return records.every(({ status }) => !open.includes(status));
    });
    recordsBefore = await Promise.all(cases.map((each) => each.record(other.url)));
    // The process goes on where it stood, with every request to storage that it had under way.
    process.kill(mailroom.pid, 'SIGCONT');
    gate.resume();
    await until('the stopped process has come to the end of all it had begun', 60, async () => {
      const log = await mailroom.log();
      return log.split("Executing 'Functions.mail-send'").length === log.split("Executed 'Functions.mail-send'").length;
    });
    await Promise.all(cases.map(({ answer }) => answer));
  }, 400_000);

  afterAll(async () => {
    for (const { server } of cases) await server.stop();
  });

  it.each(killMoments)('$when: the record stays true, and nothing is sent twice', async (moment) => {
    const index = cases.findIndex((known) => known.moment === moment);
    const each = cases[index] ?? expect.fail('no such case');
    const record = await each.record(other.url);
    expect(record).toEqual(recordsBefore[index]);
    expect(record.status).toBe(moment.ends);
    // Where nothing is known, the last bytes may leave after all: that is what the record says.
    expect(moment.copies === 1 ? [1] : [0, 1]).toContain(each.copies);
    const reported = await events.about(each.id);
    expect([...new Set(reported.map(({ id }) => id))]).toEqual([`mailroom.message.${moment.ends}:${each.id}`]);
    // Whoever waited for the stopped process is answered with the one message that there is.
    expect([each.id, undefined]).toContain(await each.answer);
    const { json } = await mailroom.expect(200, 'GET', `/api/messages?account=${each.account}`, { url: other.url });
    expect(json.items.map((item: { readonly id: string }) => item.id)).toEqual([each.id]);
  });

  it('answers the callers whose process went on in time', async () => {
    const answers = await Promise.all(cases.map(({ answer }) => answer));
    expect(answers.filter((answer) => answer !== undefined).length).toBeGreaterThan(cases.length / 2);
  });

  it('leaves no blob without its message, and nothing for the recovery timer', async () => {
    const container = BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString).getContainerClient(
      'outbox',
    );
    const names: string[] = [];
    for await (const { name } of container.listBlobsFlat()) names.push(name);
    expect(names.sort()).toEqual(cases.map(({ id }) => `${id.replace('.', '/')}.eml`).sort());
    await until('nothing open', 60, async () => (await openMessages(mailroom)).length === 0);
  });

  it('counts each mail once for its day', async () => {
    expect(miscounted(await readOutbox(mailroom.azurite.connectionString))).toEqual([]);
  });
});
