import { afterEach, describe, expect, it } from 'vitest';
import { frozenMail, longBody, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { type Answer, type Script, type ScriptedSmtp, startScriptedSmtp } from '../../../test/support/scripted-smtp.ts';
import { smtpConfig } from '../../../test/support/smtp-subject.ts';
import type { MailTransport } from '../transport.ts';
import { createSmtpTransport } from './smtp-transport.ts';

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

const password = {
  auth: { type: 'password', user: 'corpus', secret: 'corpus-smtp' },
  tls: { starttls: 'never' },
} as const;
const extensions = { pipelined: ['PIPELINING', '8BITMIME'], 'one by one': ['8BITMIME'] } as const;
type Way = keyof typeof extensions;
const ways: readonly Way[] = ['pipelined', 'one by one'];

async function start(script: Script, fields: object = {}): Promise<{ server: ScriptedSmtp; transport: MailTransport }> {
  const server = await startScriptedSmtp(script);
  const transport = createSmtpTransport(smtpConfig({ port: server.port, ...fields }), {
    ...onThisMachine,
    secret: async () => 'swordfish',
    maxConnections: 2,
  });
  cleanUp.push(
    () => server.stop(),
    () => transport.close(),
  );
  return { server, transport };
}

const to = ['a@example.org', 'b@example.org'];
const at =
  (step: string, answer: Answer): NonNullable<Script['answer']> =>
  (now) =>
    now === step ? answer : undefined;

describe('whose trouble a reply is (design section 4.6)', () => {
  const steps = ['MAIL', 'RCPT', 'DATA', 'END'] as const;
  const accounts: readonly (readonly [string, string])[] = [
    ...[
      '530 5.7.0 Authentication required',
      '535 5.7.3 Authentication unsuccessful',
      '538 5.7.11 encryption needed',
    ].flatMap((reply) => steps.map((step) => [step, reply] as const)),
    ...steps.map((step) => [step, '550 5.7.60 SMTP; Client does not have permissions to send as this sender'] as const),
    ['MAIL', '550 5.7.0 sign in first'],
    ['MAIL', '554 5.7.8 who are you'],
    ['MAIL', '530 5.7.57 Client not authenticated to send mail'],
  ];
  const others: readonly (readonly [string, string, string, string])[] = [
    ['MAIL', '550 5.7.1 sender not allowed', 'rejected', 'message'],
    ['RCPT', '550 5.7.0 not for this mailbox', 'rejected', 'message'],
    ['END', '554 5.7.0 looks like spam', 'rejected', 'message'],
    ['MAIL', '552 5.3.4 message size exceeds the limit', 'rejected', 'message'],
    ['MAIL', '452 4.3.1 no space', 'deferred', 'message'],
    ['RCPT', '552 5.2.2 mailbox full', 'rejected', 'message'],
    ['RCPT', '552 5.2.3 too large for this mailbox', 'rejected', 'message'],
    ['RCPT', '552 too many recipients', 'deferred', 'message'],
    ['RCPT', '452 4.5.3 too many recipients', 'deferred', 'message'],
    ['DATA', '552 5.3.4 too much', 'rejected', 'message'],
    ['END', '552 5.3.4 too much', 'rejected', 'message'],
    ['RCPT', '450 4.7.1 greylisted', 'deferred', 'message'],
    ['MAIL', '421 4.3.2 closing', 'deferred', 'connection'],
    ['RCPT', '421 4.3.2 closing', 'deferred', 'connection'],
    ['DATA', '421 4.3.2 closing', 'deferred', 'connection'],
    ['END', '421 4.3.2 closing', 'deferred', 'connection'],
  ];
  it.each(ways.flatMap((way) => accounts.map((each) => [way, ...each] as const)))(
    '%s, %s: %s is the account’s: the mail waits',
    async (way, step, reply) => {
      const { transport } = await start({ extensions: extensions[way], answer: at(step, reply) });
      const receipt = await transport.send(frozenMail({ to }), sendOptions());
      expect(outcomes(receipt)).toEqual(['deferred', 'deferred']);
      expect(receipt.trouble).toMatchObject({ scope: 'account', code: reply.slice(0, 3), hint: expect.any(String) });
    },
  );
  it.each(ways.flatMap((way) => others.map((each) => [way, ...each] as const)))(
    '%s, %s: %s → %s, %s',
    async (way, step, reply, outcome, scope) => {
      const { transport } = await start({ extensions: extensions[way], answer: at(step, reply) });
      const receipt = await transport.send(frozenMail({ to }), sendOptions());
      expect(outcomes(receipt)).toEqual([outcome, outcome]);
      expect(receipt.trouble).toMatchObject({ scope, code: reply.slice(0, 3), hint: expect.any(String) });
    },
  );
  it.each([
    ['GREETING', '554 5.7.1 go away', 'account'],
    ['GREETING', '450 4.7.0 not yet', 'connection'],
    ['EHLO', '554 5.7.1 go away', 'account'],
    ['EHLO', '451 4.3.0 not now', 'connection'],
    ['STARTTLS', '501 5.5.4 no TLS here', 'account'],
    ['STARTTLS', '454 4.7.0 no TLS today', 'connection'],
    ['AUTH', '530 5.7.0 TLS first', 'account'],
    ['AUTH', '534 5.7.9 too weak', 'account'],
    ['AUTH', '454 4.7.0 directory is away', 'connection'],
  ])('%s: %s → %s, and the mail waits', async (step, reply, scope) => {
    const { transport } = await start(
      {
        extensions: ['STARTTLS', 'AUTH PLAIN'],
        answer: (now) => (now === step || (step === 'EHLO' && now === 'HELO') ? reply : undefined),
      },
      step === 'STARTTLS' ? { tls: { starttls: 'preferred' } } : password,
    );
    const options = sendOptions();
    const receipt = await transport.send(frozenMail({ to }), options);
    expect(outcomes(receipt)).toEqual(['deferred', 'deferred']);
    expect(receipt.trouble).toMatchObject({ scope, code: reply.slice(0, 3) });
    expect(options.commits()).toBe(0);
  });

  it('one recipient that needs a sign-in is the account’s trouble, and the other has the mail', async () => {
    const { transport } = await start({
      answer: (step, line) => (step === 'RCPT' && line.includes('<b@') ? '530 5.7.0 sign in first' : undefined),
    });
    const receipt = await transport.send(frozenMail({ to }), sendOptions());
    expect(outcomes(receipt)).toEqual(['accepted', 'deferred']);
    expect(receipt.trouble).toMatchObject({ scope: 'account', code: '530' });
  });

  it('a sign-in that the server has forgotten is made anew on another connection, at once', async () => {
    let mails = 0;
    const { transport, server } = await start(
      {
        extensions: ['AUTH PLAIN', '8BITMIME'],
        answer: (step, _line, connection) => {
          if (step === 'MAIL') mails += 1;
          return step === 'MAIL' && connection === 1 && mails > 1 ? '530 5.7.57 sign-in expired' : undefined;
        },
      },
      password,
    );
    await transport.send(frozenMail(), sendOptions());
    const options = sendOptions();
    expect(outcomes(await transport.send(frozenMail(), options))).toEqual(['accepted']);
    expect([server.connections(), server.mails.length, options.commits()]).toEqual([2, 2, 1]);
  });
});

describe('a server that takes so many recipients and no more (RFC 5321 section 4.5.3.1.10)', () => {
  const many = Array.from({ length: 7 }, (_, n) => `r${n}@example.org`);
  const atMost = (number: number, reply: string): NonNullable<Script['answer']> => {
    let recipients = 0;
    return (step) => {
      if (step === 'MAIL') recipients = 0;
      if (step !== 'RCPT') return undefined;
      recipients += 1;
      return recipients > number ? reply : undefined;
    };
  };
  const reported = ({ mails }: ScriptedSmtp) => mails.map(({ recipients }) => recipients.length);

  it.each(
    ways.flatMap((way) =>
      [
        '452 4.5.3 Too many recipients',
        '552 5.5.3 Too many recipients',
        '552 too many recipients',
        '452 Too many recipients',
      ].map((reply) => [way, reply] as const),
    ),
  )('%s, %s: the rest goes at once, and the number is remembered', async (way, reply) => {
    const { transport, server } = await start({ extensions: extensions[way], answer: atMost(3, reply) });
    const options = sendOptions();
    const mail = frozenMail({ to: many });
    const receipt = await transport.send(mail, options);
    expect(receipt.trouble).toBeUndefined();
    expect(outcomes(receipt)).toEqual(many.map(() => 'accepted'));
    expect(server.mails.flatMap(({ recipients }) => recipients)).toEqual(many);
    expect(server.mails.every(({ text }) => text.equals(mail.text))).toBe(true);
    expect([reported(server), options.commits(), server.connections()]).toEqual([[3, 3, 1], 3, 1]);
    const commands = server.commands.length;
    await transport.send(frozenMail({ to: many }), sendOptions());
    expect(reported(server)).toEqual([3, 3, 1, 3, 3, 1]);
    expect(server.commands.slice(commands).filter((line) => line.startsWith('RCPT'))).toHaveLength(many.length);
  });

  it.each(['DATA', 'END'])('refused as a whole at %s: half as many are tried', async (step) => {
    let recipients = 0;
    const { transport, server } = await start({
      answer: (now) => {
        if (now === 'MAIL') recipients = 0;
        if (now === 'RCPT') recipients += 1;
        return now === step && recipients > 2 ? '550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients' : undefined;
      },
    });
    const receipt = await transport.send(frozenMail({ to: many }), sendOptions());
    expect(outcomes(receipt)).toEqual(many.map(() => 'accepted'));
    const taken = server.mails
      .filter(({ recipients }) => recipients.length <= 2)
      .flatMap(({ recipients }) => recipients);
    expect(taken.sort()).toEqual(many);
  });

  it.each(ways)('%s: recipients that are all refused do not keep the others waiting', async (way) => {
    const limit = atMost(2, '452 4.5.3 too many recipients');
    const { transport, server } = await start({
      extensions: extensions[way],
      answer: (step, line, connection) =>
        step === 'RCPT' && /r[2345]@/.test(line) ? '550 5.1.1 unknown' : limit(step, line, connection),
    });
    await transport.send(frozenMail({ to: many.slice(0, 2).concat('r6@example.org') }), sendOptions());
    const before = server.mails.length;
    // Two at a time by now, and two of these pairs know nobody.
    const receipt = await transport.send(frozenMail({ to: many.slice(2) }), sendOptions());
    expect(outcomes(receipt)).toEqual(['rejected', 'rejected', 'rejected', 'rejected', 'accepted']);
    // To take a pipelined DATA back, a server that asks for the text gets an empty one (RFC 2920 section 3.1).
    const brought = server.mails.slice(before).filter(({ recipients }) => recipients.length > 0);
    expect(brought.map(({ recipients }) => recipients)).toEqual([['r6@example.org']]);
  });

  it('one that takes nobody makes the mail wait', async () => {
    const { transport, server } = await start({ answer: atMost(0, '452 4.5.3 too many recipients') });
    expect(outcomes(await transport.send(frozenMail({ to: many }), sendOptions()))).toEqual(many.map(() => 'deferred'));
    expect(server.commands.filter((line) => line.startsWith('MAIL'))).toHaveLength(1);
  });

  it('a loss in the second transaction leaves what the first one brought', async () => {
    let mails = 0;
    const limit = atMost(3, '452 4.5.3 too many recipients');
    const { transport } = await start({
      answer: (step, line, connection) => {
        if (step === 'MAIL') mails += 1;
        if (step === 'END' && mails === 2) return { next: 'cut' };
        return limit(step, line, connection);
      },
    });
    const receipt = await transport.send(frozenMail({ to: many }), sendOptions());
    expect(outcomes(receipt)).toEqual([
      ...['accepted', 'accepted', 'accepted'],
      ...['uncertain', 'uncertain', 'uncertain'],
      'deferred',
    ]);
    expect(receipt.trouble).toMatchObject({ scope: 'connection' });
  });
});

describe('replies that count as no answer (cases/security.md 13)', () => {
  it.each(
    ways.flatMap((way) => ['250 2.0.0 fine', '250', '350 go on', '200 go on'].map((reply) => [way, reply] as const)),
  )('%s: %s to DATA does not open the text', async (way, reply) => {
    const { transport, server } = await start({ extensions: extensions[way], answer: at('DATA', reply) });
    const options = sendOptions();
    const receipt = await transport.send(frozenMail({ to }), options);
    expect(outcomes(receipt)).toEqual(['deferred', 'deferred']);
    expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'EPROTOCOL' });
    expect([options.commits(), server.mails.length, server.textBytes()]).toEqual([0, 0, 0]);
  });

  const steps = ['GREETING', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'END'] as const;
  const malformed = [
    '25 x',
    '2500 x',
    '250x',
    '',
    '650 x',
    '150 x',
    '250-a\r\n251 b',
    'OK',
    '+OK',
    ' 250 x',
    '２５０ x',
  ];
  it.each(steps.flatMap((step) => malformed.map((reply) => [step, reply] as const)))(
    '%s: %j is no reply, and ends the connection',
    async (step, reply) => {
      const { transport, server } = await start({ answer: at(step, { reply: `${reply}\r\n250 ok`, next: 'silent' }) });
      const receipt = await transport.send(frozenMail({ to }), sendOptions());
      const outcome = step === 'END' ? 'uncertain' : 'deferred';
      expect(outcomes(receipt)).toEqual([outcome, outcome]);
      expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'EPROTOCOL' });
      await expect.poll(() => server.openConnections()).toBe(0);
    },
  );

  it.each([
    ['GREETING', '220 hi\r\n250-me\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n354 go\r\n250 kept'],
    ['GREETING', '220 hi\r\n250 half a re'],
    ['EHLO', '250 me\r\n250 ok\r\n250 ok\r\n354 go\r\n250 kept'],
    ['MAIL', '250 ok\r\n250 ok\r\n354 go\r\n250 kept'],
    ['RCPT', '250 ok\r\n354 go\r\n250 kept'],
    ['DATA', '354 go\r\n250 kept'],
    ['DATA', '354 go\r\n25'],
  ])('%s: replies in advance end the connection', async (step, reply) => {
    const { transport, server } = await start({ extensions: ['8BITMIME'], answer: at(step, reply) });
    const options = sendOptions();
    const receipt = await transport.send(frozenMail({ body: longBody(1_000_000) }), options);
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'EPROTOCOL' });
    expect([options.commits(), server.mails.length]).toEqual([0, 0]);
  });

  it.each([
    ['a line that never ends', 'x'.repeat(20_000)],
    ['a reply that never ends', '250-x\r\n'.repeat(20_000)],
    ['a flood of replies', '250 x\r\n'.repeat(200_000)],
  ])('%s is bounded', async (_name, words) => {
    for (const step of ['GREETING', 'EHLO', 'MAIL', 'END']) {
      const { transport } = await start({ extensions: ['8BITMIME'], answer: at(step, words) });
      const receipt = await transport.send(frozenMail(), sendOptions());
      expect(outcomes(receipt)).not.toEqual(['rejected']);
      expect(JSON.stringify(receipt).length).toBeLessThan(2_000);
    }
  });
});

describe('a server that echoes what it was sent (cases/security.md 6)', () => {
  const secret = 'pa"ss\\wörd &<x>/=+%';
  const json = (text: string) => JSON.stringify(text).slice(1, -1);
  const forms = [
    secret,
    json(secret),
    json(json(secret)),
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64'),
    Buffer.from(secret).toString('base64url'),
    Buffer.from(`\0corpus\0${secret}`).toString('base64'),
    Buffer.from(secret).toString('hex'),
    Buffer.from(secret).toString('latin1'),
  ];
  const steps = ['AUTH', 'MAIL', 'RCPT', 'DATA', 'END'] as const;
  it.each(steps.flatMap((step) => forms.map((_, index) => [step, index] as const)))(
    '%s, form %i: nothing of it is kept',
    async (step, index) => {
      const form = forms[index] ?? '';
      const reply = `535-5.7.8 no ${form}\r\n535 5.7.8 ${form} again`;
      const lines: string[] = [];
      const log = {
        client: (line: string) => lines.push(line),
        server: (line: string) => lines.push(line),
        attach() {},
      };
      const server = await startScriptedSmtp({ extensions: ['AUTH PLAIN', '8BITMIME'], answer: at(step, reply) });
      const transport = createSmtpTransport(smtpConfig({ port: server.port, ...password }), {
        ...onThisMachine,
        secret: async () => secret,
        maxConnections: 1,
        dialogue: (scrub = (text) => text) => ({ ...log, server: (line) => lines.push(scrub(line)) }),
      });
      cleanUp.push(
        () => server.stop(),
        () => transport.close(),
      );
      const receipt = await transport.send(frozenMail(), sendOptions());
      expect(receipt.trouble).toMatchObject({ scope: 'account', code: '535' });
      const reported = JSON.stringify([receipt, lines]);
      for (const each of forms) for (const way of [each, json(each)]) expect(reported).not.toContain(way);
    },
  );
});
