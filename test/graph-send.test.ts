import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { graphAccount } from './support/graph-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { noise, random } from './support/mails.ts';
import { startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, queueOf, smtpAccount } from './support/sending.ts';

/** Moments at which the functions process is killed; the full count in `npm run test:soak`. */
const kills = process.env.SOAK ? 30 : 2;

const users = Array.from({ length: 16 }, (_, n) => `sender${n}@example.com`);

let mailroom: Mailroom;
let count = 0;
let name = '';
let user = '';

beforeAll(async () => {
  mailroom = await Mailroom.start({
    graph: [...users, 'partner@example.org'].map((userPrincipalName) => ({
      userPrincipalName,
      sendAs: ['shared@example.com'],
    })),
  });
});

afterAll(() => mailroom?.stop());

beforeEach(async () => {
  user = users[count] ?? '';
  name = `out${count}`;
  count += 1;
});

const sent = () => mailroom.graph.sent(user);

async function post(body: Record<string, unknown>, headers: Record<string, string> = { prefer: 'wait=60' }) {
  return (await mailroom.expect([200, 202], 'POST', `/api/accounts/${name}/messages`, { body, headers })).json;
}

async function record(id: string) {
  return (await mailroom.expect(200, 'GET', `/api/messages/${id}`)).json;
}

const letter = {
  to: 'partner@example.org',
  cc: ['"Zweite, Person" <second@example.org>'],
  bcc: 'hidden@example.org',
  replyTo: 'answers@example.com',
  subject: 'Grüße — wichtig',
  text: 'Text für alle.',
  html: '<p>Text für <b>alle</b>.</p>',
  inReplyTo: '<earlier@example.org>',
  references: ['<first@example.org>', '<earlier@example.org>'],
};

describe('a letter', () => {
  it('keeps its headers, both bodies, names and bytes, and leaves once', { timeout: 180_000 }, async () => {
    await graphAccount(mailroom, name, { user });
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    const attachments = [{ filename: 'Anhang ü.bin', content: bytes.toString('base64') }];
    const answer = await post({ ...letter, attachments });
    expect(answer).toMatchObject({ status: 'sent', recipients: [{ status: 'accepted' }, {}, { status: 'accepted' }] });
    const [mail] = sent();
    expect(sent()).toHaveLength(1);
    expect(mail).toMatchObject({ subject: letter.subject, messageId: answer.messageId });
    expect(mail?.recipients).toEqual(['partner@example.org', 'second@example.org', 'hidden@example.org']);
    expect(mail?.bcc.map(({ address }) => address)).toEqual(['hidden@example.org']);
    expect(mail?.attachments).toMatchObject([{ name: 'Anhang ü.bin', size: 256 }]);
    // As the recipient's own mailbox has it.
    const arrived = mailroom.graph
      .mailbox('partner@example.org')
      .mails('inbox')
      .find((one) => one.messageId === answer.messageId);
    const mime = arrived?.bytes().toString('latin1') ?? '';
    expect(mime).toMatch(/^Reply-To: .*answers@example\.com/im);
    expect(mime).toMatch(/^In-Reply-To: <earlier@example\.org>/im);
    expect(mime).toMatch(/^References: <first@example\.org>\s+<earlier@example\.org>/im);
    expect(mime).toMatch(/text\/plain/);
    expect(mime).toMatch(/text\/html/);
    expect(mime).not.toMatch(/hidden@example\.org/);
    expect(mailroom.graph.violations).toEqual([]);
  });

  it('from a shared mailbox has that address in From', { timeout: 180_000 }, async () => {
    await graphAccount(mailroom, name, { user, allowedFrom: ['shared@example.com'] });
    await post({ ...letter, from: 'Shared <shared@example.com>' });
    expect(sent()).toHaveLength(1);
    expect(sent()[0]?.from.address).toBe('shared@example.com');
    expect(sent()[0]?.attachments).toEqual([]);
  });

  it('of 20 MB goes by upload sessions, and no token goes along', { timeout: 180_000 }, async () => {
    await graphAccount(mailroom, name, { user });
    const attachments = [
      { filename: 'large.bin', content: noise(20_000_000, random(1)).toString('base64') },
      { filename: 'small.txt', content: Buffer.from('small').toString('base64') },
    ];
    expect(await post({ ...letter, attachments })).toMatchObject({ status: 'sent' });
    expect(sent()).toHaveLength(1);
    const sizes = Object.fromEntries((sent()[0]?.attachments ?? []).map((each) => [each.name, each.size]));
    expect(sizes).toEqual({ 'large.bin': 20_000_000, 'small.txt': 5 });
    expect(mailroom.graph.exposedTokens).toEqual([]);
    expect(mailroom.graph.violations).toEqual([]);
  });
});

/** Whether all have left; waits while the queue or an invocation could bring it about, however slow the machine. */
async function allSent(ids: readonly string[]): Promise<boolean> {
  let idle = 0;
  return await until('all sent, or nothing more to come', 300, async () => {
    const states = await Promise.all(ids.map(record));
    expect(states.filter(({ status }) => status === 'failed' || status === 'uncertain')).toEqual([]);
    if (states.every(({ status }) => status === 'sent')) return 'all';
    // Between the queue and the log of the host an invocation is seen by neither for a moment.
    const { peekedMessageItems } = await queueOf(mailroom, 'mail-send').peekMessages();
    idle = peekedMessageItems.length > 0 || (await isAtWork()) ? 0 : idle + 1;
    return idle > 5 && 'idle';
  }).then((end) => end === 'all');
}

/** Whether an invocation of the process that runs now has begun and not ended. */
async function isAtWork(): Promise<boolean> {
  const log = (await mailroom.log()).split('This is a local host').at(-1) ?? '';
  const count = (what: string) =>
    ['mail-send', 'outbox-recovery'].reduce((sum, name) => sum + log.split(`${what} 'Functions.${name}'`).length, 0);
  return count('Executing') > count('Executed');
}

describe('an answer that is lost', () => {
  it.each([
    ['504 after the work was done', { kind: 'gatewayTimeout', done: true }],
    ['504 before', { kind: 'gatewayTimeout', done: false }],
    ['a connection reset after the work was done', { kind: 'reset', done: true }],
    ['a connection reset before', { kind: 'reset', done: false }],
  ] as const)(
    'of send (%s): found out by the draft, and the mail leaves once',
    { timeout: 180_000 },
    async (_, fault) => {
      await graphAccount(mailroom, name, { user });
      mailroom.graph.faults.add({ fault, method: 'POST', route: '/send', user });
      const { id } = await post(letter);
      for (let shiftMs = 120_000; !(await allSent([id])) && shiftMs < 20 * 120_000; shiftMs += 120_000) {
        await mailroom.setClock(shiftMs);
        await mailroom.fire('outbox-recovery');
      }
      expect(await record(id)).toMatchObject({ status: 'sent' });
      expect(sent()).toHaveLength(1);
      await mailroom.setClock(0);
    },
  );

  it('of sendMail in direct mode: uncertain, and never sent again', { timeout: 180_000 }, async () => {
    await graphAccount(mailroom, name, { user, transport: { sendMode: 'direct' } });
    mailroom.graph.faults.add({ fault: { kind: 'gatewayTimeout', done: true }, route: '/sendMail', user });
    const { id, status } = await post(letter);
    expect(status).toBe('uncertain');
    await mailroom.fire('outbox-recovery');
    expect(await record(id)).toMatchObject({ status: 'uncertain' });
    expect(sent()).toHaveLength(1);
  });
});

describe('a resend', { timeout: 120_000 }, () => {
  const resend = async (id: string) =>
    (await mailroom.expect(200, 'POST', `/api/messages/${id}/resend`, { headers: { prefer: 'wait=60' } })).json;
  const everybody = ['partner@example.org', 'second@example.org', 'hidden@example.org'];
  const outcomes = ({ attempts }: { attempts: readonly { outcome: string }[] }) =>
    attempts.map(({ outcome }) => outcome);

  it('of a mail that Graph refused, which it does as a whole, goes to everybody once, with the same Message-ID', async () => {
    await graphAccount(mailroom, name, { user });
    const fault = { kind: 'refused', status: 400, code: 'ErrorInvalidRecipients' } as const;
    mailroom.graph.faults.add({ fault, method: 'POST', route: '/send', user });
    const failed = await post(letter);
    expect(failed).toMatchObject({ status: 'failed', attempts: [{ code: 'ErrorInvalidRecipients' }] });
    expect(failed.recipients.map(({ status }: { status: string }) => status)).toEqual(Array(3).fill('rejected'));
    expect(sent()).toEqual([]);
    const again = await resend(failed.id);
    expect(again).toMatchObject({ id: failed.id, status: 'sent', messageId: failed.messageId });
    expect(outcomes(again)).toEqual(['failed', 'resend', 'sent']);
    expect(again.recipients.map(({ status }: { status: string }) => status)).toEqual(Array(3).fill('accepted'));
    expect(sent().map(({ messageId, recipients }) => ({ messageId, recipients }))).toEqual([
      { messageId: failed.messageId, recipients: everybody },
    ]);
    expect(mailroom.graph.mailbox(user).mails('drafts')).toEqual([]);
    expect(mailroom.graph.mailbox(user).mails('sentitems')).toHaveLength(1);
  });

  it('of a mail that an SMTP server took in part goes by Graph to the others only', async () => {
    const server = await startScriptedSmtp({
      answer: (step, line) => (step === 'RCPT' && !line.includes('partner') ? '550 5.1.1 no such user' : undefined),
    });
    try {
      await smtpAccount(mailroom, name, { port: server.port }, { from: user });
      const { id, status, messageId } = await post(letter);
      expect(status).toBe('partiallySent');
      await graphAccount(mailroom, name, { user });
      const again = await resend(id);
      expect(again).toMatchObject({ status: 'sent', messageId });
      expect(sent().map((mail) => [mail.messageId, mail.recipients])).toEqual([[messageId, everybody.slice(1)]]);
    } finally {
      await server.stop();
    }
  });

  it('of a mail whose answer was lost sends nothing where Graph has sent it, also after the time for finding out', async () => {
    await graphAccount(mailroom, name, { user });
    mailroom.graph.faults.add({ fault: { kind: 'gatewayTimeout', done: true }, method: 'POST', route: '/send', user });
    mailroom.graph.faults.add({ fault: { kind: 'unavailable' }, method: 'GET', user, times: Number.POSITIVE_INFINITY });
    const { id, messageId } = await post(letter);
    await mailroom.kill();
    await mailroom.run({ shiftMs: 20 * 60_000 });
    await mailroom.fire('outbox-recovery');
    expect((await endedRecord(mailroom, id, 60)).status).toBe('uncertain');
    mailroom.graph.faults.clear();
    const again = await resend(id);
    expect(again).toMatchObject({ status: 'sent', messageId });
    expect(outcomes(again)).toEqual(['uncertain', 'resend', 'sent']);
    expect(sent()).toHaveLength(1);
    await mailroom.kill();
    await mailroom.run({ shiftMs: 0 });
  });

  it('in direct mode is sent again, with the same Message-ID: nobody can find out', async () => {
    await graphAccount(mailroom, name, { user, transport: { sendMode: 'direct' } });
    mailroom.graph.faults.add({ fault: { kind: 'gatewayTimeout', done: false }, route: '/sendMail', user });
    const { id, status, messageId } = await post(letter);
    expect(status).toBe('uncertain');
    expect(await resend(id)).toMatchObject({ status: 'sent', messageId });
    expect(sent().map((mail) => [mail.messageId, mail.recipients])).toEqual([[messageId, everybody]]);
  });
});

describe('a refusal', () => {
  it('of the sender is the account’s trouble: the mail waits', { timeout: 180_000 }, async () => {
    await graphAccount(mailroom, name, { user, allowedFrom: ['*@elsewhere.example'] });
    const { id } = await post({ ...letter, from: 'x@elsewhere.example' });
    expect(await record(id)).toMatchObject({ status: 'queued' });
    expect(sent()).toEqual([]);
  });

  it('of the permission is the account’s trouble: the mail waits', { timeout: 180_000 }, async () => {
    await graphAccount(mailroom, name, { user });
    mailroom.graph.faults.add({
      fault: { kind: 'refused', status: 403, code: 'ErrorAccessDenied' },
      user,
      method: 'POST',
    });
    const { id } = await post(letter);
    expect(await record(id)).toMatchObject({ status: 'queued', recipients: [{ status: 'deferred' }, {}, {}] });
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`);
    expect(json.failing).toMatchObject([{ side: 'transport', hint: expect.stringMatching(/\S/) }]);
  });

  it('429 with Retry-After is heard', { timeout: 180_000 }, async () => {
    await graphAccount(mailroom, name, { user });
    mailroom.graph.faults.add({ fault: { kind: 'throttled', retryAfter: 600 }, user, method: 'POST' });
    const began = Date.now();
    const { id } = await post(letter);
    const { status, nextAttemptAt } = await record(id);
    expect(status).toBe('queued');
    expect(Date.parse(nextAttemptAt) - began).toBeGreaterThanOrEqual(600_000);
  });
});

it(`killed at ${kills} random moments of a send with a 20 MB attachment: one sent mail per request`, {
  timeout: 900_000,
}, async () => {
  await graphAccount(mailroom, name, { user });
  const moment = random(7);
  const attachments = [{ filename: 'large.bin', content: noise(20_000_000, random(2)).toString('base64') }];
  const requests: { id: string; messageId: string }[] = [];
  let shiftMs = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    requests.push(await post({ to: 'partner@example.org', subject: `Number ${kill}`, text: 'Large', attachments }, {}));
    await new Promise((resolve) => setTimeout(resolve, 50 + moment() * 1_200));
    shiftMs += 180_000;
    await mailroom.kill();
    await mailroom.run({ shiftMs });
    await mailroom.fire('outbox-recovery');
  }
  // What was cut is found by the recovery, some of it only when a claim has lapsed or an attempt's wait is over.
  const ids = requests.map(({ id }) => id);
  for (let round = 0; round < 8 && !(await allSent(ids)); round += 1) {
    shiftMs += 360_000;
    await mailroom.setClock(shiftMs);
    await mailroom.fire('outbox-recovery');
  }
  expect(
    sent()
      .map((mail) => mail.messageId)
      .sort(),
  ).toEqual(requests.map(({ messageId }) => messageId).sort());
  expect(sent().every((mail) => mail.attachments[0]?.size === 20_000_000)).toBe(true);
  expect(mailroom.graph.mailbox(user).mails('sentitems')).toHaveLength(kills);
});
