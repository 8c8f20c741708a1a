import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom, until } from './support/mailroom.ts';
import { random } from './support/mails.ts';
import { miscounted, readOutbox } from './support/outbox-audit.ts';
import { type Answer, type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { EventReader, endedRecord, openMessages, type SentRecord, send, smtpAccount } from './support/sending.ts';

/** Mails, and kills of the process while they are on their way; the full counts in `npm run test:soak`. */
const [count, kills] = process.env.SOAK ? [1_000, 30] : [100, 5];

/** Every claim and acceptance has lapsed by then, what recovery queued is looked at again, and the next attempt is due. */
const lapseMs = 3 * 60_000;
/** Hands in so many at a time. */
const together = 20;
const account = 'shaky';

const steps = ['GREETING', 'EHLO', 'STARTTLS', 'AUTH', 'MAIL', 'RCPT', 'DATA', 'TEXT', 'END'];
/** Of a hundred answers, so many are a failure. */
const failsPercent = 8;
/** Recipients that the server does not know, beside others that it does: their mail is sent in part. */
const unknown = /^mail-\d*4-1@/;

/** What a server knows of a connection. */
interface Dialogue {
  hasSender: boolean;
  /** Taken at RCPT. */
  recipients: readonly string[];
}

/** A server that fails at random in every state, and knows what it has kept and refused. */
class ShakyServer {
  readonly #chance = random(20_261_129);
  readonly #dialogues = new Map<number, Dialogue>();
  /** By recipient: how often the whole mail came and was not refused. The client may not know, where the connection was lost. */
  readonly kept = new Map<string, number>();
  /** By recipient: the last reply that refused a mail for good. */
  readonly refused = new Map<string, string>();
  /** How often each state failed. */
  readonly failures = new Map<string, number>();
  isShaky = true;
  /** Called at each step of a dialogue. */
  onStep = () => {};

  /** What it knows of a recipient. */
  known(address: string) {
    return { kept: this.kept.get(address) ?? 0, refusal: this.refused.get(address) };
  }

  answer(step: string, line: string, connection: number): Answer | undefined {
    this.onStep();
    const dialogue = this.#dialogues.get(connection) ?? { hasSender: false, recipients: [] };
    this.#dialogues.set(connection, dialogue);
    const concerned = step === 'RCPT' ? [/<(.*)>/.exec(line)?.[1] ?? ''] : dialogue.recipients;
    const answer =
      step === 'RCPT' && !dialogue.hasSender ? '503 5.5.1 MAIL comes first' : this.#failureAt(step, concerned);
    const taken = answer === undefined;
    if (step === 'MAIL') Object.assign(dialogue, { hasSender: taken, recipients: [] });
    if (step === 'RCPT' && taken) dialogue.recipients = [...dialogue.recipients, ...concerned];
    const lost = typeof answer === 'object' && answer.reply === undefined;
    if (step === 'END' && (taken || lost)) {
      for (const address of concerned) this.kept.set(address, (this.kept.get(address) ?? 0) + 1);
    }
    return answer;
  }

  /** `concerned`: recipients whose mail would be refused. */
  #failureAt(step: string, concerned: readonly string[]): Answer | undefined {
    if (!this.isShaky || !steps.includes(step)) return undefined;
    if (step === 'RCPT' && concerned.some((address) => unknown.test(address))) return this.#refuse(concerned);
    // The first time in any case: a state that is met seldom fails, too.
    if (this.#chance() * 100 >= failsPercent && this.failures.has(step)) return undefined;
    this.failures.set(step, (this.failures.get(step) ?? 0) + 1);
    const kind = this.#chance();
    // To the first bytes of a text there is no reply. Silence costs a time-out.
    if (step === 'TEXT' || kind < 0.35) return { next: 'cut' };
    // Where TLS begins, its handshake breaks.
    if (step === 'STARTTLS' && kind < 0.6) return { reply: '220 2.0.0 go on', next: 'cut' };
    if (kind < 0.4) return { next: 'silent' };
    if (kind < 0.5) return { reply: '421 4.3.2 going down', next: 'cut' };
    // The account's trouble, of which no mail fails.
    if (step === 'AUTH' && kind < 0.85) return '535 5.7.8 who are you';
    if (step === 'STARTTLS') return '554 5.3.0 no TLS today';
    // Before RCPT it is not known whose mail would be refused.
    if (kind < 0.85 || !['RCPT', 'DATA', 'END'].includes(step)) return '451 4.3.0 come again';
    return this.#refuse(concerned);
  }

  #refuse(addresses: readonly string[]): string {
    const reply = '554 5.6.0 never';
    for (const address of addresses) this.refused.set(address, reply);
    return reply;
  }
}

let mailroom: Mailroom;
let server: ScriptedSmtp;
let events: EventReader;
const shaky = new ShakyServer();
let shiftMs = 0;

beforeAll(async () => {
  mailroom = await Mailroom.start({ env: { RETRY_MINUTES: '1' } });
  events = new EventReader(mailroom);
  const { ca, ...tls } = mailroom.certificate;
  server = await startScriptedSmtp({
    tls,
    extensions: ['PIPELINING', '8BITMIME', 'AUTH PLAIN'],
    answer: (...asked) => shaky.answer(...asked),
  });
  const secret = `${account}-smtp`;
  await mailroom.secret(account, secret, 'correct-horse-battery');
  await smtpAccount(mailroom, account, {
    port: server.port,
    timeout: 2_000,
    tls: { starttls: 'required', ca },
    auth: { type: 'password', user: account, secret },
  });
}, 60_000);

afterAll(async () => {
  await mailroom?.stop();
  await server?.stop();
});

/** Starts the process when its claims have lapsed and the next attempts are due, and lets the timer look. */
async function runLater(): Promise<void> {
  await mailroom.kill();
  shiftMs += lapseMs;
  await mailroom.run({ shiftMs });
  await mailroom.fire('outbox-recovery');
}

/** Resolves after so many steps of dialogues. */
function stepsMade(wanted: number): Promise<void> {
  return new Promise((resolve) => {
    let left = wanted;
    shaky.onStep = () => {
      left -= 1;
      if (left <= 0) resolve();
    };
    if (wanted === 0) resolve();
  });
}

describe(`${count} mails to a server that fails in every state, the process killed ${kills} times`, () => {
  const chance = random(4_711);
  /** The recipients of each mail: one, two or three. */
  const mails = Array.from({ length: count }, (_, n) =>
    Array.from({ length: 1 + (n % 3) }, (__, each) => `mail-${n}-${each}@example.org`),
  );
  const records = new Map<string, SentRecord>();

  beforeAll(
    async () => {
      const post = async (to: readonly string[]) =>
        (await send(mailroom, account, { to }, { 'idempotency-key': keyOf(to) })).id;
      const perKill = Math.ceil(count / kills);
      for (let kill = 0; kill < kills; kill += 1) {
        const batch = mails.slice(kill * perKill, (kill + 1) * perKill);
        const moment = stepsMade(Math.floor(chance() * 4 * batch.length));
        const posts = batch.map((to) => post(to).catch(() => undefined));
        await moment;
        await runLater();
        await Promise.all(posts);
      }
      shaky.onStep = () => {};
      // Whoever got no answer asks again; whoever got one gets the same.
      const ids: string[] = [];
      for (let at = 0; at < count; at += together) {
        ids.push(...(await Promise.all(mails.slice(at, at + together).map(post))));
      }
      expect(new Set(ids).size).toBe(count);
      // Two rounds more of failures; then the server is well, and what waits leaves.
      await runLater();
      await until('the attempts that are due', 120 + count / 2, async () => (await due()) === 0);
      shaky.isShaky = false;
      await until('no mail that waits', 600, async () => {
        if ((await openMessages(mailroom)).length === 0) return true;
        if ((await due()) === 0) await runLater();
        return false;
      });
      for (const [n, id] of ids.entries()) records.set(keyOf(mails[n] ?? []), await endedRecord(mailroom, id));
    },
    120_000 + count * 1_500,
  );

  /** Mail that is being sent, or is to be sent now. */
  async function due(): Promise<number> {
    const now = Date.now() + shiftMs;
    const lists = await Promise.all(
      ['queued', 'sending'].map((status) =>
        mailroom.expect(200, 'GET', `/api/messages?account=${account}&status=${status}&top=1000`),
      ),
    );
    const items: SentRecord[] = lists.flatMap(({ json }) => json.items);
    return items.filter(({ nextAttemptAt }) => nextAttemptAt === undefined || Date.parse(nextAttemptAt) <= now).length;
  }

  it('fails in each of them', () => {
    expect([...shaky.failures.keys()].sort()).toEqual([...steps].sort());
  });

  it('arrives once, or is uncertain; none is lost, and each record tells the truth', () => {
    const untrue = mails.filter((to) => !isTrue(records.get(keyOf(to)), to));
    expect(untrue.map((to) => [records.get(keyOf(to)), ...to.map((address) => shaky.known(address))])).toEqual([]);
  });

  it('is mostly sent: doubt and refusals are for the few', () => {
    const ends = [...records.values()].map(({ status }) => status);
    expect(ends).toHaveLength(count);
    expect(ends.filter((status) => status === 'sent').length).toBeGreaterThan(count / 2);
    expect(ends).toContain('partiallySent');
  });

  it('is told by one event each, and counted once', async () => {
    const wrong: unknown[] = [];
    for (const { id, status } of records.values()) {
      const told = new Set((await events.about(id)).map((event) => event.id));
      const end = status === 'partiallySent' ? 'failed' : status;
      if (told.size !== 1 || !told.has(`mailroom.message.${end}:${id}`)) wrong.push({ id, status, told: [...told] });
    }
    expect(wrong).toEqual([]);
    const outbox = await readOutbox(mailroom.azurite.connectionString);
    expect(miscounted(outbox)).toEqual([]);
    expect(outbox.open.filter((key) => key.startsWith(`${account} `))).toEqual([]);
    expect(outbox.looseKeys).toEqual([]);
    expect(outbox.messages).toHaveLength(count);
  }, 120_000);
});

/** What a mail is known by here. */
const keyOf = (to: readonly string[]) => to.join();

/** Whether a record says what the server knows, of each recipient and as a whole. */
function isTrue(record: SentRecord | undefined, to: readonly string[]): boolean {
  const { recipients = [], status = '' } = record ?? {};
  if (recipients.map(({ address }) => address).join() !== keyOf(to)) return false;
  const isOf = ({ address, status: own, code }: SentRecord['recipients'][number]) => {
    const { kept, refusal } = shaky.known(address);
    switch (own) {
      case 'accepted':
        return kept === 1;
      case 'rejected':
        return kept === 0 && refusal !== undefined && code === refusal.slice(0, 3);
      case 'uncertain':
        return kept <= 1;
      default:
        return false;
    }
  };
  const ends = new Set(recipients.map((recipient) => recipient.status));
  const whole = ends.has('uncertain')
    ? 'uncertain'
    : ends.size > 1
      ? 'partiallySent'
      : ends.has('accepted')
        ? 'sent'
        : 'failed';
  return recipients.every(isOf) && status === whole;
}
