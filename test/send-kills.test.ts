import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catcher, type KillMoment, killMoments } from './support/kill-moments.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { random } from './support/mails.ts';
import { miscounted, readOutbox } from './support/outbox-audit.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { EventReader, endedRecord, openMessages, recordOf, send, smtpAccount } from './support/sending.ts';
import { type StorageGate, startStorageGate } from './support/storage-gate.ts';

/** Random moments at which the functions process is killed; the full count in `npm run test:soak`. */
const kills = process.env.SOAK ? 30 : 2;
const mailsPerKill = 20;
/** Steps of SMTP dialogues, of which each mail has five, until the process is killed: fewer than there will be. */
const stepsPerKill = 4 * mailsPerKill;
/** Then any time of these, in which storage is written. */
const lateMs = 15;

/** A claim and an acceptance lapse after one minute; what recovery has queued is looked at again after two. */
const lapseMs = 3 * 60_000;

let gate: StorageGate;
let mailroom: Mailroom;
let events: EventReader;
let shiftMs = 0;

beforeAll(async () => {
  gate = await startStorageGate();
  mailroom = await Mailroom.start({
    env: (azurite) => ({
      MailStorage: gate.lead(azurite),
      // All the sends below are in work at the same time.
      AzureFunctionsJobHost__extensions__queues__batchSize: '32',
      AzureFunctionsJobHost__extensions__queues__newBatchThreshold: '32',
    }),
  });
  events = new EventReader(mailroom);
});

afterAll(async () => {
  gate?.release();
  await mailroom?.stop();
  await gate?.stop();
});

/** Starts the killed process again when its claims have lapsed, and lets the timer look once. */
async function recover(): Promise<void> {
  shiftMs += lapseMs;
  await mailroom.run({ shiftMs });
  await mailroom.fire('outbox-recovery');
}

async function nothingIsOpen(): Promise<void> {
  await until('no open messages', 60, async () => (await openMessages(mailroom)).length === 0).catch(async () => {
    const open = await Promise.all((await openMessages(mailroom)).map((id) => recordOf(mailroom, id)));
    expect(open).toEqual([]);
  });
}

/** A moment's own account and server, so that none holds up another. */
class Case {
  readonly moment: KillMoment;
  readonly account: string;
  readonly server: ScriptedSmtp;
  /** Resolves when the process is in that moment. */
  readonly reached: Promise<unknown>;
  id: string | undefined;
  attempts: readonly string[];

  private constructor(moment: KillMoment, account: string, server: ScriptedSmtp, reached: Promise<unknown>) {
    this.moment = moment;
    this.account = account;
    this.server = server;
    this.reached = reached;
    this.attempts = moment.attempts;
  }

  static async prepare(moment: KillMoment, n: number): Promise<Case> {
    const account = `moment-${n}`;
    const { caught } = moment;
    let silent: (() => void) | undefined;
    const fallsSilent = new Promise<void>((resolve) => {
      silent = resolve;
    });
    let putOff = moment.putOff === true;
    // Silent once: after the kill the server answers everything.
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
    await smtpAccount(mailroom, account, { port: server.port });
    const reached =
      'smtp' in caught ? fallsSilent : gate.hold({ at: caught.storage.at, fits: catcher(account, caught.storage) });
    return new Case(moment, account, server, reached);
  }

  /** Waits for the claim of an attempt that is to be known as interrupted: it comes a second after its begin at most. */
  async claimed(): Promise<void> {
    const { id, moment } = this;
    if (id === undefined) return;
    if (moment.attempts[0] === 'interrupted') {
      await until('the claim', 60, async () => (await recordOf(mailroom, id)).status === 'sending');
    } else if (moment.claimedAfterASecond && (await recordOf(mailroom, id)).status === 'sending') {
      this.attempts = ['interrupted', ...moment.attempts];
    }
  }

  /** Hands the mail in, always the same under the same key. */
  async post(options: { readonly wait?: boolean | undefined } = {}): Promise<string> {
    const text = 'Zeile um Zeile um Zeile. '.repeat((this.moment.size ?? 3_000) / 25);
    const headers = { 'idempotency-key': 'the same', ...(options.wait ? { prefer: 'wait=30' } : {}) };
    return (await send(mailroom, this.account, { text }, headers)).id;
  }
}

describe('killed in every state of a send', () => {
  const cases: Case[] = [];

  beforeAll(async () => {
    cases.push(...(await Promise.all(killMoments.map(Case.prepare))));
    const waiting = new Set(cases);
    for (const each of cases) void each.reached.then(() => waiting.delete(each));
    const answers = cases.map(async (each) => {
      each.id = await each.post({ wait: each.moment.wait }).catch(() => undefined);
    });
    await until('every moment', 120, async () => waiting.size === 0).catch(() => {
      expect.fail(`not reached: ${[...waiting].map(({ moment }) => moment.when).join('; ')}`);
    });
    for (const each of cases) await each.claimed();
    await mailroom.kill();
    gate.release();
    await Promise.all(answers);
    await recover();
  }, 300_000);

  afterAll(async () => {
    for (const { server } of cases) await server.stop();
  });

  it.each(killMoments)('$when: $ends, $copies at the server', async (moment) => {
    const each = cases.find((known) => known.moment === moment) ?? expect.fail('no such case');
    const { server, account } = each;
    expect(each.id === undefined).toBe(moment.unanswered === true);
    // A caller without an answer asks again, and gets the message that there is. Only recovery delivers it.
    const id = each.id ?? (await each.post());
    const record = await endedRecord(mailroom, id, 15);
    expect(record.status).toBe(moment.ends);
    expect(record.attempts.map(({ outcome }) => outcome)).toEqual(each.attempts);
    // A mail for nobody is how a pipelining client takes DATA back (RFC 2920 section 3.1).
    const mails = server.mails.filter(({ recipients }) => recipients.length > 0);
    expect(mails).toHaveLength(moment.copies);
    for (const { text } of mails) expect(text.includes(record.messageId)).toBe(true);
    const wholeMails = server.mails.reduce((bytes, { text }) => bytes + text.length + 100, 0);
    expect(server.textBytes() > wholeMails).toBe(moment.begun === true);
    const { json } = await mailroom.expect(200, 'GET', `/api/messages?account=${account}`);
    expect(json.items.map((item: { readonly id: string }) => item.id)).toEqual([id]);
    const reported = await events.about(id);
    expect([...new Set(reported.map((event) => event.id))]).toEqual([`mailroom.message.${moment.ends}:${id}`]);
  });

  it('leaves nothing for the recovery timer', async () => {
    await nothingIsOpen();
  });
});

describe(`killed at ${kills} random moments with ${mailsPerKill} mails under way`, () => {
  const next = random(7);
  const mails = Array.from({ length: kills * mailsPerKill }, (_, n) => ({
    to: `mail-${n}@example.org`,
    text: `Nachricht ${n}. `.repeat(10 + Math.floor(next() * 3_000)),
  }));
  let server: ScriptedSmtp;
  /** Called at each step of a dialogue. */
  let onStep = () => {};

  beforeAll(async () => {
    server = await startScriptedSmtp({
      answer() {
        onStep();
        return undefined;
      },
    });
    await smtpAccount(mailroom, 'load', { port: server.port });
  });

  afterAll(async () => {
    await server?.stop();
  });

  function steps(count: number): Promise<void> {
    return new Promise((resolve) => {
      let left = count;
      onStep = () => {
        left -= 1;
        if (left <= 0) resolve();
      };
      if (count === 0) resolve();
    });
  }

  it('every mail arrives once, or is uncertain and arrived at most once', {
    timeout: 180_000 + kills * 20_000,
  }, async () => {
    const post = async (mail: { readonly to: string }) =>
      (await send(mailroom, 'load', mail, { 'idempotency-key': mail.to })).id;
    for (let kill = 0; kill < kills; kill += 1) {
      const batch = mails.slice(kill * mailsPerKill, (kill + 1) * mailsPerKill);
      const posts = batch.map((mail) => post(mail).catch(() => undefined));
      await steps(Math.floor(next() * stepsPerKill));
      await delay(next() * lateMs);
      await mailroom.kill();
      await Promise.all(posts);
      await recover();
      // Most rounds begin while the one before is being made good; one firing of the timer is enough for all of them.
      if (kill % 3 === 2) await nothingIsOpen();
    }
    // Whoever got no answer asks again; whoever got one gets the same.
    const ids = await Promise.all(mails.map(post));
    expect(new Set(ids).size).toBe(mails.length);
    await nothingIsOpen();
    const ends = await Promise.all(
      mails.map(async ({ to }, n) => {
        const { status, recipients } = await endedRecord(mailroom, ids[n] ?? '');
        expect(recipients).toHaveLength(1);
        return { status, copies: server.mails.filter((mail) => mail.recipients.includes(to)).length };
      }),
    );
    expect(ends.filter(({ status, copies }) => (status === 'sent' ? copies !== 1 : copies > 1))).toEqual([]);
    expect(ends.filter(({ status }) => status !== 'sent' && status !== 'uncertain')).toEqual([]);
    // Doubt is for the few that were about to end: with kills this random, most mails are nowhere near.
    expect(ends.filter(({ status }) => status === 'sent').length).toBeGreaterThan(mails.length / 2);
    const { json } = await mailroom.expect(200, 'GET', '/api/messages?account=load&top=1000');
    expect(json.items).toHaveLength(mails.length);
    expect(miscounted(await readOutbox(mailroom.azurite.connectionString))).toEqual([]);
  });
});
