import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FaultRule } from '../../../../local/graph/graph.ts';
import { frozenMail, outcomes, sendOptions } from '../../../../test/contract/transport.contract.ts';
import { type GraphSite, startGraphSite, testUser } from '../../../../test/support/graph-fixture.ts';
import type { FrozenMail, MailTransport, Receipt } from '../../transport.ts';

const alias = 'sales@example.com';

let site: GraphSite;
let transport: MailTransport;

beforeAll(async () => {
  site = await startGraphSite({
    mailboxes: [{ userPrincipalName: testUser, displayName: 'Corpus', sendAs: [alias] }],
  });
});
afterAll(() => site.stop());
beforeEach(() => {
  for (const { immutableId } of mailbox().mails()) mailbox().delete(immutableId, 'permanent');
  site.graph.reset();
  transport = site.transport();
});
afterEach(async () => {
  await transport.close();
  site.graph.faults.clear();
  expect(site.graph.violations).toEqual([]);
  expect(site.graph.exposedTokens).toEqual([]);
});

const mailbox = () => site.graph.mailbox(testUser);
const fault = (rule: FaultRule) => site.graph.faults.add(rule);
const sent = () => site.graph.sent(testUser);

/** A mail with this text. */
function mailOf(text: Buffer, changes: Partial<FrozenMail> = {}): FrozenMail {
  return { ...frozenMail(), size: text.length, open: async () => Readable.from([text]), ...changes };
}

/** Sends as the outbox does: what is remembered comes back in the next attempt. */
class Sender {
  note: string | undefined;
  commits = 0;
  readonly mail: FrozenMail;

  constructor(mail: FrozenMail) {
    this.mail = mail;
  }

  #options() {
    return {
      signal: AbortSignal.timeout(150_000),
      remember: async (note: string) => {
        this.note = note;
      },
      ...(this.note === undefined ? {} : { remembered: this.note }),
    };
  }

  async send(beforeCommit = async () => {}): Promise<Receipt> {
    const commit = async () => {
      this.commits += 1;
      await beforeCommit();
    };
    return await transport.send(this.mail, { ...this.#options(), beforeCommit: commit });
  }

  async resolveUncertain(): Promise<Receipt | undefined> {
    return await transport.resolveUncertain?.(this.mail, { ...this.#options(), sinceCommitMs: 0 });
  }
}

const only = (receipt: Receipt) => outcomes(receipt)[0];

describe('a draft', () => {
  it('is made, labeled and sent, and stays as the copy in Sent Items', async () => {
    const sender = new Sender(frozenMail());
    expect(await sender.send()).toEqual({ recipients: [{ address: 'anna@example.org', outcome: 'accepted' }] });
    expect(site.graph.requests.map(({ method, route }) => `${method} ${route.replace(/^.*\{user-id\}/, '')}`)).toEqual([
      'POST /messages',
      'PATCH /messages/{message-id}',
      'POST /messages/{message-id}/send',
    ]);
    expect(mailbox().mails('drafts')).toEqual([]);
    const [copy, ...more] = mailbox().mails('sentitems');
    expect(more).toEqual([]);
    expect(Object.values(copy?.extendedProperties ?? {})).toContain(sender.mail.id);
    expect(sender.note?.length).toBeLessThanOrEqual(1_000);
    expect(sender.note).toContain(copy?.immutableId);
  });

  it('carries another From than the mailbox’s, with its name', async () => {
    const text = Buffer.from(
      'From: Sales Team <sales@example.com>\r\nTo: anna@example.org\r\nSubject: s\r\n\r\nHi\r\n',
    );
    const receipt = await new Sender(mailOf(text, { headerFrom: alias })).send();
    expect(only(receipt)).toBe('accepted');
    expect(sent()[0]?.from).toEqual({ name: 'Sales Team', address: alias });
  });

  it('waits where the mailbox may not use its From, and leaves nothing behind meanwhile', async () => {
    const text = Buffer.from('From: ceo@example.net\r\nTo: anna@example.org\r\n\r\nHi\r\n');
    const receipt = await new Sender(mailOf(text, { headerFrom: 'ceo@example.net' })).send();
    expect(only(receipt)).toBe('deferred');
    expect(receipt.trouble).toMatchObject({ scope: 'account', code: 'ErrorSendAsDenied' });
    expect(receipt.trouble?.hint).toMatch(/SendAs/);
    expect(sent()).toEqual([]);
    expect(mailbox().mails('drafts')).toEqual([]);
  });

  it('reaches who is in the envelope and in no header, and shows them to nobody', async () => {
    const base = frozenMail({ to: ['anna@example.org'] });
    const to = ['anna@example.org', 'hidden@example.org'];
    const mail = { ...base, envelope: { ...base.envelope, to }, bcc: ['hidden@example.org'] };
    expect(outcomes(await new Sender(mail).send())).toEqual(['accepted', 'accepted']);
    expect(sent()[0]?.recipients).toEqual(to);
    expect(sent()[0]?.bytes().toString()).not.toContain('hidden');
  });

  it('goes to no one whom an earlier attempt has reached', async () => {
    const text = Buffer.from(
      'From: corpus@example.com\r\nTo: Anna <anna@example.org>, bert@example.org\r\nCc: carl@example.org\r\n\r\nHi\r\n',
    );
    const to = ['Bert@example.org', 'hidden@example.org'];
    const mail = mailOf(text, { envelope: { from: testUser, to }, bcc: ['hidden@example.org'] });
    await new Sender(mail).send();
    expect(sent()[0]?.recipients.map((address) => address.toLowerCase())).toEqual([
      'bert@example.org',
      'hidden@example.org',
    ]);
  });

  it('keeps Reply-To, In-Reply-To, References, both bodies, names and bytes', async () => {
    const octets = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
    const text = Buffer.from(
      [
        'From: corpus@example.com',
        'To: anna@example.org',
        'Reply-To: answers@example.com',
        'In-Reply-To: <first@example.org>',
        'References: <zero@example.org> <first@example.org>',
        'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=',
        'Content-Type: multipart/mixed; boundary=outer',
        '',
        '--outer',
        'Content-Type: multipart/alternative; boundary=inner',
        '',
        '--inner',
        'Content-Type: text/plain',
        '',
        'plain',
        '--inner',
        'Content-Type: text/html',
        '',
        '<p>rich</p>',
        '--inner--',
        '--outer',
        'Content-Type: application/octet-stream',
        "Content-Disposition: attachment; filename*=utf-8''%C3%BCber.bin",
        'Content-Transfer-Encoding: base64',
        '',
        octets.toString('base64'),
        '--outer--',
        '',
      ].join('\r\n'),
    );
    await new Sender(mailOf(text)).send();
    expect(sent()[0]?.handedIn?.equals(text)).toBe(true);
  });
});

describe('what gets lost on the way', () => {
  it.each([
    ['before the draft is made', '/messages', false],
    ['after the draft was made', '/messages', true],
    ['before the label', '/messages/{message-id}', false],
    ['after the label', '/messages/{message-id}', true],
  ])('%s is sent once by the next attempt, by one draft', async (_, route, done) => {
    const sender = new Sender(frozenMail());
    fault({ fault: { kind: 'gatewayTimeout', done }, route: `/users/{user-id}${route}` });
    expect(only(await sender.send())).toBe('deferred');
    expect(sender.commits).toBe(0);
    expect(sent()).toEqual([]);
    expect(only(await sender.send())).toBe('accepted');
    expect(sent()).toHaveLength(1);
    expect(mailbox().mails('drafts')).toEqual([]);
  });

  it('is the answer to the send alone: looked up at once', async () => {
    for (const kind of ['reset', 'gatewayTimeout'] as const) {
      const sender = new Sender(frozenMail());
      fault({ fault: { kind, done: true }, route: '/send' });
      expect(only(await sender.send())).toBe('accepted');
    }
    expect(sent()).toHaveLength(2);
  });

  it('is the send itself: nobody knows at first, then it is found waiting, and sent by the same draft', async () => {
    const sender = new Sender(frozenMail());
    fault({ fault: { kind: 'gatewayTimeout', done: false }, route: '/send' });
    const receipt = await sender.send();
    expect(only(receipt)).toBe('uncertain');
    expect(receipt.trouble?.hint).toBeTruthy();
    expect((await sender.resolveUncertain())?.trouble?.code).toBe('NOT_SENT');
    expect(only(await sender.send())).toBe('accepted');
    expect(sent()).toHaveLength(1);
    expect(mailbox().mails('sentitems')).toHaveLength(1);
  });

  it('cannot be known while the sent mail is unknown, and is found when it is', async () => {
    const sender = new Sender(frozenMail());
    fault({ fault: { kind: 'gatewayTimeout', done: true }, route: '/send' });
    fault({ fault: { kind: 'lateSent', ms: 4_000 }, route: '/send' });
    expect(only(await sender.send())).toBe('uncertain');
    expect(await sender.resolveUncertain()).toBeUndefined();
    await expect.poll(async () => only((await sender.resolveUncertain()) ?? { recipients: [] })).toBe('accepted');
    expect(sent()).toHaveLength(1);
  });

  it('is found in a later attempt that knows nothing of the commit', async () => {
    const sender = new Sender(frozenMail());
    expect(only(await sender.send())).toBe('accepted');
    expect(only(await sender.send())).toBe('accepted');
    sender.note = JSON.stringify({ graph: `graph:${testUser}`, state: 'making', kind: 'whole' });
    expect(only(await sender.send())).toBe('accepted');
    expect(sent()).toHaveLength(1);
  });

  it('is the one of a process that stood still: whoever comes second finds the mail sent', async () => {
    const [stoodStill, other] = [new Sender(frozenMail()), new Sender(frozenMail())];
    const receipt = await stoodStill.send(async () => {
      other.note = stoodStill.note;
      expect((await other.resolveUncertain())?.trouble?.code).toBe('NOT_SENT');
      expect(only(await other.send())).toBe('accepted');
    });
    expect(only(receipt)).toBe('accepted');
    expect(sent()).toHaveLength(1);
    expect(mailbox().mails('sentitems')).toHaveLength(1);
  });

  it('is uncertain where the draft is gone at the send', async () => {
    const sender = new Sender(frozenMail());
    const receipt = await sender.send(async () => {
      for (const { immutableId } of mailbox().mails('drafts')) mailbox().delete(immutableId, 'permanent');
    });
    expect(only(receipt)).toBe('uncertain');
    expect(sent()).toEqual([]);
  });

  it('is asked of no other mailbox', async () => {
    const sender = new Sender(frozenMail());
    sender.note = JSON.stringify({ graph: 'graph:other@example.com', state: 'made', draft: 'AAAA' });
    expect(await sender.resolveUncertain()).toBeUndefined();
    expect(only(await sender.send())).toBe('accepted');
  });

  it('cannot be known of mail sent directly', () => {
    expect(site.transport({ sendMode: 'direct' }).resolveUncertain).toBeUndefined();
  });

  it('makes another draft where somebody threw the first one away', async () => {
    const sender = new Sender(frozenMail());
    await sender.send(() => Promise.reject(new Error('claim lost')));
    for (const { immutableId } of mailbox().mails('drafts')) mailbox().delete(immutableId, 'permanent');
    expect(only(await sender.send())).toBe('accepted');
    expect(sent()).toHaveLength(1);
  });
});

describe('what Graph says of a send', () => {
  it.each([
    [403, 'ErrorSendAsDenied', 'deferred', 'account'],
    [403, 'SomethingNew', 'deferred', 'account'],
    [400, 'ErrorInvalidRecipients', 'rejected', 'message'],
    [400, 'ErrorMessageSizeExceeded', 'rejected', 'message'],
    [413, 'RequestEntityTooLarge', 'rejected', 'message'],
    [400, 'SomethingElse', 'rejected', 'message'],
    [403, 'ErrorAccessDenied', 'deferred', 'account'],
    [403, 'ErrorExceededMessageLimit', 'deferred', 'account'],
    [403, 'ErrorMessageSubmissionBlocked', 'deferred', 'account'],
    [507, 'ErrorQuotaExceeded', 'deferred', 'account'],
    [404, 'ErrorInvalidUser', 'deferred', 'account'],
    [403, 'Whatever', 'deferred', 'account'],
    [409, 'ErrorIrresolvableConflict', 'deferred', 'connection'],
    [423, 'Locked', 'deferred', 'connection'],
  ])('%i %s: %s, %s', async (status, code, outcome, scope) => {
    const sender = new Sender(frozenMail());
    fault({ fault: { kind: 'refused', status, code }, route: '/messages', method: 'POST', times: 2 });
    const made = await sender.send();
    site.graph.faults.clear();
    expect(made.recipients[0]).toMatchObject({ outcome, code });
    expect(made.trouble).toMatchObject({ scope });
    expect(made.trouble?.hint).toBeTruthy();
    if (status === 507) return;
    fault({ fault: { kind: 'refused', status, code }, route: '/send' });
    const receipt = await new Sender(frozenMail()).send();
    expect(receipt.recipients[0]).toMatchObject({ outcome, code });
    expect(receipt.trouble).toMatchObject({ scope, code });
    expect(sent()).toEqual([]);
  });

  it.each([
    [408, 'RequestTimeout'],
    [500, 'ErrorInternalServerError'],
    [503, 'ServiceUnavailable'],
  ])(
    '%i %s is tried again: at once known to be unsent before the send, and in doubt behind it',
    async (status, code) => {
      fault({ fault: { kind: 'refused', status, code }, route: '/messages', method: 'POST', times: 2 });
      const made = await new Sender(frozenMail()).send();
      site.graph.faults.clear();
      expect(made.recipients[0]).toMatchObject({ outcome: 'deferred', code });
      expect(made.trouble).toMatchObject({ scope: 'connection', code });
      fault({ fault: { kind: 'refused', status, code }, route: '/send' });
      const sender = new Sender(frozenMail());
      const receipt = await sender.send();
      // What Graph did before it answered so is not known: the draft says.
      expect(receipt.recipients[0]).toMatchObject({ outcome: 'uncertain', code });
      expect(sent()).toEqual([]);
      const found = await sender.resolveUncertain();
      expect(found?.recipients[0]).toMatchObject({ outcome: 'deferred', code: 'NOT_SENT' });
      expect(only(await sender.send())).toBe('accepted');
      expect(sent()).toHaveLength(1);
    },
  );

  it('429 is handed back with its time, and 401 is the account’s', async () => {
    fault({ fault: { kind: 'throttled', retryAfter: 1 }, route: '/send' });
    const receipt = await new Sender(frozenMail()).send();
    expect(receipt.trouble).toMatchObject({ scope: 'throttled', retryAfterMs: 1_000 });
    expect(only(receipt)).toBe('deferred');
    fault({ fault: { kind: 'expiredToken' }, times: 2 });
    expect((await new Sender(frozenMail()).send()).trouble).toMatchObject({ scope: 'account' });
    const wrong = site.transport({}, { secret: async () => 'wrong-secret-value' });
    const refused = await wrong.send(frozenMail(), sendOptions());
    expect(refused.trouble).toMatchObject({ scope: 'account', code: 'AADSTS7000215' });
    expect(JSON.stringify(refused)).not.toContain('wrong-secret-value');
    await wrong.close();
  });
});

describe('sent directly', () => {
  const direct = () => site.transport({ sendMode: 'direct' });

  it('names every recipient in the text, and refuses a From that Graph would change', async () => {
    const base = frozenMail();
    const to = ['anna@example.org', 'hidden@example.org'];
    const mail = { ...base, envelope: { ...base.envelope, to }, bcc: ['hidden@example.org'] };
    expect(outcomes(await direct().send(mail, sendOptions()))).toEqual(['accepted', 'accepted']);
    expect(sent()[0]?.recipients).toEqual(to);
    const options = sendOptions();
    const receipt = await direct().send({ ...base, headerFrom: alias }, options);
    expect(receipt.trouble).toMatchObject({ code: 'FROM_NEEDS_DRAFT', scope: 'message' });
    expect(options.commits()).toBe(0);
  });

  it('commits once although a refused token makes it go out twice', async () => {
    fault({ fault: { kind: 'expiredToken' }, route: '/sendMail' });
    const options = sendOptions();
    expect(only(await direct().send(frozenMail({ body: randomBytes(9_000).toString('hex') }), options))).toBe(
      'accepted',
    );
    expect(options.commits()).toBe(1);
    expect(sent()).toHaveLength(1);
  });

  it('is uncertain after a 504', async () => {
    fault({ fault: { kind: 'gatewayTimeout', done: true }, route: '/sendMail' });
    expect(only(await direct().send(frozenMail(), sendOptions()))).toBe('uncertain');
    expect(sent()).toHaveLength(1);
  });
});
