import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GatedSink, startGatedSink } from './support/gated-sink.ts';
import { Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, recordOf, recordWhen, smtpAccount } from './support/sending.ts';

let mailroom: Mailroom;
let sink: GatedSink;
/** Refuses everybody whose address begins with "nobody". */
let strict: ScriptedSmtp;

beforeAll(async () => {
  [mailroom, sink, strict] = await Promise.all([
    Mailroom.start(),
    startGatedSink(),
    startScriptedSmtp({
      answer: (step, line) => (step === 'RCPT' && line.includes('<nobody') ? '550 5.1.1 no such user' : undefined),
    }),
  ]);
  await smtpAccount(mailroom, 'corpus', { port: sink.port }, { allowedFrom: ['*@team.example.com'] });
  await smtpAccount(mailroom, 'strict', { port: strict.port });
});

afterAll(async () => {
  await mailroom?.stop();
  await sink?.stop();
  await strict?.stop();
});

const post = (account: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  mailroom.call('POST', `/api/accounts/${account}/messages`, { body, headers });

const mail = { to: 'anna@example.org', subject: 'Zahlen', text: 'Grüße' };

const list = async (query: string) =>
  (await mailroom.expect(200, 'GET', `/api/messages?${query}`)).json.items.map(({ id }: { id: string }) => id);

describe('sending', () => {
  it('answers 202 with where to follow the mail, and it leaves', async () => {
    const answer = await mailroom.call('POST', '/api/messages', { body: { ...mail, subject: 'first' } });
    expect(answer.status).toBe(202);
    expect(Object.keys(answer.json).sort()).toEqual(['id', 'messageId', 'status']);
    expect(answer.json).toMatchObject({ status: 'queued', messageId: expect.stringMatching(/^<.+@example\.com>$/) });
    const location = answer.headers.get('location') ?? '';
    expect(location).toBe(`/api/messages/${answer.json.id}`);
    expect(answer.headers.get('operation-location')).toBe(location);
    expect(answer.headers.get('preference-applied')).toBeNull();
    const record = await endedRecord(mailroom, answer.json.id);
    expect(record).toEqual({
      id: answer.json.id,
      account: 'corpus',
      status: 'sent',
      messageId: answer.json.messageId,
      createdAt: expect.any(String),
      sentAt: expect.any(String),
      recipients: [{ address: 'anna@example.org', status: 'accepted', code: '250', reply: expect.any(String) }],
      attempts: [{ at: expect.any(String), outcome: 'sent' }],
    });
    const [arrived, ...more] = sink.bySubject('first');
    expect(more).toEqual([]);
    expect(arrived).toMatchObject({ from: 'corpus@example.com', to: ['anna@example.org'] });
    expect(arrived?.bytes.toString()).toContain(`Message-ID: ${record.messageId}\r\n`);
  });

  it('takes every field of a request', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const answer = await post(
      'corpus',
      {
        from: 'Anna Müller <anna@team.example.com>',
        sender: { name: 'Office', address: 'office@team.example.com' },
        to: ['Bob <bob@example.org>', { name: 'Carl', address: 'carl@example.org' }],
        cc: 'dora@example.org, emil@example.org',
        bcc: [{ address: 'fritz@example.org' }],
        replyTo: 'answers@example.org',
        subject: 'every field',
        text: 'plain',
        html: '<p>rich</p>',
        attachments: [
          { filename: 'Übersicht.bin', contentType: 'application/x-test', content: bytes.toString('base64') },
        ],
        calendar: { method: 'REQUEST', content: 'BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n' },
        headers: { 'X-Project': 'Mailroom', 'List-Unsubscribe': ['<https://example.org/u>'] },
        inReplyTo: '<one@example.org>',
        references: ['<zero@example.org>', '<one@example.org>'],
        priority: 'high',
        dsn: { notify: ['failure', 'delay'], ret: 'headers', envid: 'e-1' },
      },
      { prefer: 'wait=20' },
    );
    expect([answer.status, answer.json.status]).toEqual([200, 'sent']);
    const [arrived] = sink.bySubject('every field');
    expect(arrived?.from).toBe('office@team.example.com');
    expect(arrived?.to).toEqual([
      'bob@example.org',
      'carl@example.org',
      'dora@example.org',
      'emil@example.org',
      'fritz@example.org',
    ]);
    const text = arrived?.bytes.toString() ?? '';
    for (const line of [
      /^From: =\?UTF-8\?.*<anna@team\.example\.com>/im,
      /^Sender: Office <office@team\.example\.com>\r$/m,
      /^To: Bob <bob@example\.org>, Carl <carl@example\.org>\r$/m,
      /^Cc: dora@example\.org, emil@example\.org\r$/m,
      /^Reply-To: answers@example\.org\r$/m,
      /^In-Reply-To: <one@example\.org>\r$/m,
      /^References: <zero@example\.org> <one@example\.org>\r$/m,
      /^X-Project: Mailroom\r$/m,
      /^Importance: high\r$/m,
      /^Content-Type: text\/calendar;.*method=REQUEST/m,
      /^Content-Type: application\/x-test;/m,
      /filename\*(0\*)?=utf-8''%C3%9Cbersicht\.bin/im,
    ]) {
      expect(text).toMatch(line);
    }
    expect(text).not.toContain('fritz');
    expect(text.replaceAll('\r\n', '')).toContain(bytes.toString('base64'));
  });

  it('an address beyond ASCII is for servers with SMTPUTF8; others get the mail only where no header names it', async () => {
    const world = await startScriptedSmtp({ extensions: ['SMTPUTF8', '8BITMIME'] });
    try {
      await smtpAccount(mailroom, 'world', { port: world.port });
      const to = ['Jürgen <jürgen@bücher.example>', 'anna@example.org'];
      const wait = { prefer: 'wait=20' };
      const taken = (await post('world', { ...mail, to }, wait)).json;
      expect([taken.status, taken.recipients[0].address]).toEqual(['sent', 'jürgen@xn--bcher-kva.example']);
      expect(world.commands).toContain('RCPT TO:<jürgen@xn--bcher-kva.example>');
      expect(world.commands.find((line) => line.startsWith('MAIL'))).toContain('SMTPUTF8');
      const found = await list(`account=world&recipient=${encodeURIComponent('JÜRGEN@bücher.example')}`);
      expect(found).toEqual([taken.id]);
      const [blind, visible] = to;
      const part = (await post('strict', { ...mail, to: visible, bcc: blind }, wait)).json;
      const statuses = ({ recipients }: { recipients: readonly { status: string }[] }) =>
        recipients.map(({ status }) => status);
      expect([part.status, ...statuses(part)]).toEqual(['partiallySent', 'accepted', 'rejected']);
      expect(part.recipients[1].reply).toContain('SMTPUTF8');
      // In a header it makes the whole mail one that the server cannot take (RFC 6531 section 3.1).
      const none = (await post('strict', { ...mail, to }, wait)).json;
      expect([none.status, ...statuses(none)]).toEqual(['failed', 'rejected', 'rejected']);
    } finally {
      await world.stop();
    }
  });

  it('every mistake is reported at once, and nothing is stored', async () => {
    const before = await list('top=1000');
    const answer = await post('corpus', {
      from: 'anna@elsewhere.example',
      to: ['not an address', 'bob@example.org'],
      cc: 5,
      bogus: true,
      subject: 'a\r\nBcc: eve@example.org',
      attachments: [
        { filename: '', content: '***' },
        { filename: 'a', contentType: 'multipart/mixed', content: '' },
        { filename: 'b', upload: 'x' },
      ],
      headers: { 'X-A': 'a\nb', From: 'eve@example.org' },
      inReplyTo: 'two words',
      priority: 'urgent',
      dsn: { notify: ['never', 'delay'] },
      sendAt: '2026-01-01',
    });
    expect(problem(answer, 400).pointers).toEqual([
      '/attachments/0/content',
      '/attachments/0/filename',
      '/attachments/1/contentType',
      '/attachments/2/upload',
      '/bogus',
      '/cc',
      '/dsn/notify',
      '/from',
      '/headers/From',
      '/headers/X-A',
      '/inReplyTo',
      '/priority',
      '/sendAt',
      '/subject',
      '/to/0',
    ]);
    expect(problem(await post('corpus', { subject: 'to nobody' }), 400).pointers).toEqual(['/to']);
    const many = Array.from({ length: 501 }, (_, n) => `r${n}@example.org`);
    expect(problem(await post('corpus', { ...mail, to: many }), 400).pointers).toEqual(['/to']);
    const spread = { to: many.slice(0, 200), cc: many.slice(200, 400), bcc: many.slice(400) };
    expect(problem(await post('corpus', { ...mail, ...spread }), 400).pointers).toEqual(['/to']);
    expect(await list('top=1000')).toEqual(before);
  });

  it.each([
    ['{"to":', 'application/json', 400],
    ['', 'application/json', 400],
    ['[]', 'application/json', 400],
    ['null', 'application/json', 400],
    ['{}', 'text/plain', 415],
    ['{}', 'application/octet-stream', 415],
    ['', 'message/rfc822', 400],
    ['no header', 'message/rfc822', 400],
  ])('a body %j of type %s is refused with %i', async (text, type, status) => {
    const raw = Buffer.from(text);
    const answer = await mailroom.call('POST', '/api/messages', { raw, headers: { 'content-type': type } });
    problem(answer, status);
    expect(answer.headers.get('accept')).toBe(status === 415 ? 'application/json, message/rfc822' : null);
  });

  it('inline attachments of more than 35 MB together are refused with 413', async () => {
    const content = Buffer.alloc(17.6 * 1024 * 1024).toString('base64');
    const attachments = [
      { filename: 'a', content },
      { filename: 'b', content },
    ];
    expect(problem(await post('corpus', { ...mail, attachments }), 413).pointers).toEqual(['/attachments']);
  });

  it('is refused for an account that cannot send', async () => {
    await smtpAccount(mailroom, 'off', { port: sink.port }, { enabled: false });
    await mailroom.expect(201, 'PUT', '/api/accounts/mute', { body: { from: 'mute@example.com' } });
    problem(await post('off', mail), 409);
    problem(await post('mute', mail), 409);
    problem(await post('none', mail), 404);
  });
});

describe('Prefer: wait', () => {
  it('answers 200 with the record once the mail has left', async () => {
    const answer = await post('corpus', { ...mail, subject: 'waited' }, { prefer: 'respond-async, wait=20' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('preference-applied')).toBe('wait=20');
    expect(answer.headers.get('location')).toBe(`/api/messages/${answer.json.id}`);
    expect(answer.json).toMatchObject({ status: 'sent', recipients: [{ status: 'accepted' }] });
    expect(answer.json).toEqual(await recordOf(mailroom, answer.json.id));
    expect(sink.bySubject('waited')).toHaveLength(1);
  });

  it('says no more than 60 s were granted', async () => {
    const { headers } = await post('corpus', mail, { prefer: 'wait=3600' });
    expect(headers.get('preference-applied')).toBe('wait=60');
  });

  it('answers 200 for a mail that failed, and for one that failed in part', async () => {
    const failed = await post('strict', { ...mail, to: 'nobody@example.org' }, { prefer: 'wait=20' });
    expect(failed.status).toBe(200);
    expect(failed.json).toMatchObject({
      status: 'failed',
      recipients: [{ address: 'nobody@example.org', status: 'rejected', code: '550' }],
      attempts: [{ outcome: 'failed', code: '550' }],
    });
    expect(failed.json).not.toHaveProperty('sentAt');
    const to = ['anna@example.org', 'nobody@example.org'];
    const part = await post('strict', { ...mail, to }, { prefer: 'wait=20' });
    expect([part.status, part.json.status]).toEqual([200, 'partiallySent']);
    expect(part.json.recipients.map(({ status }: { status: string }) => status)).toEqual(['accepted', 'rejected']);
  });

  it.each(['retry', 'resend'] as const)(
    'of a %s answers 200 with the record, or 202 with its attempt',
    async (action) => {
      const first = action === 'retry' ? '450 4.7.1 come again' : '550 5.7.1 not this one';
      const later = '450 4.2.1 not yet';
      const says = (reply: string | undefined) => (step: string) => (step === 'RCPT' ? reply : undefined);
      strict.answers(says(first));
      const { json } = await post('strict', mail, { prefer: 'wait=20' });
      expect(json.status).toBe(action === 'retry' ? 'queued' : 'failed');
      const again = (headers = {}) => mailroom.call('POST', `/api/messages/${json.id}/${action}`, { headers });
      strict.answers(says(later));
      const waits = await again({ prefer: 'wait=20' });
      expect([waits.status, waits.headers.get('preference-applied')]).toEqual([202, null]);
      expect(waits.json).toEqual({
        id: json.id,
        status: 'queued',
        messageId: json.messageId,
        attempt: { outcome: 'deferred', code: '450', reply: '4.2.1 not yet', hint: expect.any(String) },
        nextAttemptAt: (await recordOf(mailroom, json.id)).nextAttemptAt,
      });
      strict.answers(says(undefined));
      const retried = await mailroom.call('POST', `/api/messages/${json.id}/retry`, { headers: { prefer: 'wait=20' } });
      expect([retried.status, retried.headers.get('preference-applied')]).toEqual([200, 'wait=20']);
      expect(retried.headers.get('location')).toBe(`/api/messages/${json.id}`);
      expect(retried.json).toMatchObject({ status: 'sent', recipients: [{ status: 'accepted' }] });
      expect(retried.json).toEqual(await recordOf(mailroom, json.id));
      problem(await again({ prefer: 'wait=20' }), 409);
    },
  );

  it('answers the ordinary 202 when the time is over; the mail leaves all the same and cannot be canceled', async () => {
    sink.close();
    const answer = await post('corpus', { ...mail, subject: 'too slow' }, { prefer: 'wait=1' });
    expect([answer.status, answer.headers.get('preference-applied')]).toEqual([202, null]);
    expect(answer.json).toEqual({
      id: expect.any(String),
      status: 'sending',
      messageId: expect.stringMatching(/^<.+>$/),
    });
    problem(await mailroom.call('DELETE', `/api/messages/${answer.json.id}`), 409);
    sink.open();
    expect((await endedRecord(mailroom, answer.json.id)).status).toBe('sent');
    problem(await mailroom.call('DELETE', `/api/messages/${answer.json.id}`), 409);
    expect(sink.bySubject('too slow')).toHaveLength(1);
  });
});

describe('sendAt', () => {
  it('keeps a mail until it is canceled', async () => {
    const sendAt = new Date(Date.now() + 3_600_000);
    const body = { ...mail, subject: 'later', sendAt: sendAt.toISOString().replace('Z', '+00:00') };
    const answer = await post('corpus', body, { prefer: 'wait=20' });
    expect([answer.status, answer.json.status]).toEqual([202, 'scheduled']);
    const path = `/api/messages/${answer.json.id}`;
    expect((await mailroom.expect(200, 'GET', path)).json).toMatchObject({
      status: 'scheduled',
      sendAt: sendAt.toISOString(),
      nextAttemptAt: sendAt.toISOString(),
      recipients: [{ status: 'pending' }],
      attempts: [],
    });
    expect(await list('status=scheduled')).toEqual([answer.json.id]);
    const canceled = await mailroom.expect(200, 'DELETE', path);
    expect(canceled.json).toMatchObject({ id: answer.json.id, status: 'canceled' });
    expect(canceled.json).not.toHaveProperty('nextAttemptAt');
    expect((await mailroom.expect(200, 'GET', path)).json).toEqual(canceled.json);
    expect((await mailroom.expect(200, 'DELETE', path)).json.status).toBe('canceled');
    expect(sink.bySubject('later')).toEqual([]);
  });

  it('lets a mail go when its time has come, and at once when it is past', async () => {
    const sendAt = new Date(Date.now() + 1_500).toISOString();
    const soon = await post('corpus', { ...mail, subject: 'soon', sendAt });
    expect(soon.json.status).toBe('scheduled');
    const past = await post('corpus', { ...mail, sendAt: '2020-01-01T00:00:00Z' }, { prefer: 'wait=20' });
    expect([past.status, past.json.status]).toEqual([200, 'sent']);
    const record = await recordWhen(mailroom, soon.json.id, 'sent', ({ status }) => status === 'sent');
    expect(record.sendAt).toBe(sendAt);
    // Clocks of queue and app may differ by two seconds.
    expect(Date.parse(record.sentAt ?? '')).toBeGreaterThanOrEqual(Date.parse(sendAt) - 2_000);
    expect(sink.bySubject('soon')).toHaveLength(1);
  });
});
