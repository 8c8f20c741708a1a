import { afterEach, describe, expect, it } from 'vitest';
import { frozenMail, longBody, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { type Script, type ScriptedSmtp, startScriptedSmtp } from '../../../test/support/scripted-smtp.ts';
import { smtpConfig } from '../../../test/support/smtp-subject.ts';
import type { MailTransport } from '../transport.ts';
import { createSmtpTransport, type TransportContext } from './smtp-transport.ts';

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function start(
  script: Script,
  fields: Readonly<Record<string, unknown>> = {},
  context: Partial<TransportContext> = {},
): Promise<{ server: ScriptedSmtp; transport: MailTransport }> {
  const server = await startScriptedSmtp(script);
  const transport = createSmtpTransport(smtpConfig({ port: server.port, ...fields }), {
    ...onThisMachine,
    secret: async () => 'swordfish',
    maxConnections: 2,
    ...context,
  });
  cleanUp.push(
    () => server.stop(),
    () => transport.close(),
  );
  return { server, transport };
}

const at =
  (step: string, reply: string): NonNullable<Script['answer']> =>
  (now) =>
    now === step ? reply : undefined;

const password = {
  auth: { type: 'password', user: 'corpus', secret: 'corpus-smtp' },
  tls: { starttls: 'never' },
} as const;
const withAuth = ['PIPELINING', 'AUTH PLAIN LOGIN'];

describe('a refusal counts by the step it came at', () => {
  it.each([
    ['MAIL', '550 5.7.1 sender not allowed', 'rejected', 'message', 0],
    ['MAIL', '451 4.3.0 try later', 'deferred', 'message', 0],
    ['MAIL', '503 5.5.1 not now', 'rejected', 'message', 0],
    ['RCPT', '550 5.1.1 no such user', 'rejected', 'message', 0],
    ['RCPT', '450 4.7.1 greylisted, come back', 'deferred', 'message', 0],
    ['RCPT', '452 4.2.2 mailbox quota exceeded limit', 'deferred', 'message', 0],
    ['DATA', '554 5.7.1 not from here', 'rejected', 'message', 0],
    ['DATA', '451 4.3.0 no disk', 'deferred', 'message', 0],
    ['END', '554 5.7.1 looks like spam', 'rejected', 'message', 1],
    ['END', '451 4.7.1 scanner is away', 'deferred', 'message', 1],
    ['END', '421 4.3.0 going down', 'deferred', 'connection', 1],
    ['RCPT', '451 4.7.500 server busy', 'deferred', 'throttled', 0],
    ['MAIL', '421 4.7.0 too many messages', 'deferred', 'throttled', 0],
    ['END', '432 4.3.2 concurrent connections', 'deferred', 'throttled', 1],
  ] as const)('%s: %s → %s, %s', async (step, reply, outcome, scope, commits) => {
    for (const extensions of [['PIPELINING'], ['8BITMIME']]) {
      const { transport, server } = await start({ extensions, answer: at(step, reply) });
      const options = sendOptions();
      const receipt = await transport.send(frozenMail({ to: ['a@example.org', 'b@example.org'] }), options);
      expect(outcomes(receipt)).toEqual([outcome, outcome]);
      expect(receipt.trouble).toMatchObject({ scope, code: reply.slice(0, 3) });
      expect(receipt.trouble?.hint).toBeTruthy();
      expect(receipt.recipients[0]).toMatchObject({ code: reply.slice(0, 3), reply: reply.slice(4) });
      expect(options.commits()).toBe(commits);
      expect(server.connections()).toBe(1);
    }
  });

  it.each([
    ['GREETING', '554 5.7.1 go away', 'account'],
    ['GREETING', '421 4.3.0 busy now', 'connection'],
    ['GREETING', '421 4.7.0 too many connections', 'throttled'],
    ['EHLO', '554 5.7.1 go away', 'account'],
    ['STARTTLS', '454 4.7.0 no TLS today', 'connection'],
    ['AUTH', '535 5.7.8 wrong', 'account'],
    ['AUTH', '454 4.7.0 directory is away', 'connection'],
    ['AUTH', '454 4.7.0 too many login attempts', 'throttled'],
  ] as const)('%s: %s → deferred, %s', async (step, reply, scope) => {
    const tls = step === 'STARTTLS' ? { tls: { starttls: 'required' } } : {};
    const { transport } = await start(
      {
        extensions: [...withAuth, 'STARTTLS'],
        answer: (now) => (now === step || (step === 'EHLO' && now === 'HELO') ? reply : undefined),
      },
      { ...password, ...tls },
    );
    const options = sendOptions();
    const receipt = await transport.send(frozenMail({ to: ['a@example.org', 'b@example.org'] }), options);
    expect(outcomes(receipt)).toEqual(['deferred', 'deferred']);
    expect(receipt.trouble).toMatchObject({ scope, code: reply.slice(0, 3), reply: reply.slice(4) });
    expect(receipt.trouble?.hint).toBeTruthy();
    expect(options.commits()).toBe(0);
  });

  it('speaks HELO to a server that knows no EHLO', async () => {
    const { transport, server } = await start({ answer: at('EHLO', '502 what?') });
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
    expect(server.commands[1]).toBe('HELO [127.0.0.1]');
  });

  it('says so where something else than SMTP answers', async () => {
    const { transport } = await start({ answer: at('GREETING', 'HTTP/1.1 400 Bad Request') });
    const receipt = await transport.send(frozenMail(), sendOptions());
    expect(receipt.trouble).toMatchObject({ scope: 'connection', hint: expect.stringContaining('SMTP') });
  });
});

describe('recipients one by one', () => {
  const answer: Script['answer'] = (step, line) => {
    if (step !== 'RCPT') return undefined;
    if (line.includes('<gone@')) return '550 5.1.1 no such user';
    return line.includes('<later@') ? '450 4.2.0 busy mailbox' : undefined;
  };
  const to = ['gone@example.org', 'a@example.org', 'later@example.org', 'b@example.org', 'A@example.org'];

  it.each(['PIPELINING', '8BITMIME'])('keeps their order and their own replies (%s)', async (extension) => {
    const { transport, server } = await start({ extensions: [extension], answer });
    const receipt = await transport.send(frozenMail({ to: [...to, 'a@example.org'] }), sendOptions());
    expect(receipt.recipients.map(({ outcome, code }) => [outcome, code])).toEqual([
      ['rejected', '550'],
      ['accepted', '250'],
      ['deferred', '450'],
      ['accepted', '250'],
      ['accepted', '250'],
      ['accepted', '250'],
    ]);
    expect(receipt.trouble).toMatchObject({ scope: 'message', code: '550' });
    expect(server.mails[0]?.recipients).toEqual(['a@example.org', 'b@example.org', 'A@example.org']);
  });

  it('answers uncertain only for those the server had accepted', async () => {
    const { transport } = await start({
      answer: (step, line, connection) => (step === 'END' ? { next: 'cut' } : answer(step, line, connection)),
    });
    const receipt = await transport.send(frozenMail({ to }), sendOptions());
    expect(outcomes(receipt)).toEqual(['rejected', 'uncertain', 'deferred', 'uncertain', 'uncertain']);
    expect(receipt.trouble?.scope).toBe('connection');
  });

  it('leaves each its own refusal when the text is refused', async () => {
    const { transport } = await start({
      answer: (step, line, connection) => (step === 'END' ? '554 5.7.1 spam' : answer(step, line, connection)),
    });
    const receipt = await transport.send(frozenMail({ to }), sendOptions());
    expect(receipt.recipients.map(({ code }) => code)).toEqual(['550', '554', '450', '554', '554']);
  });

  it('takes a reply to RCPT that is neither yes nor no for no answer', async () => {
    const { transport } = await start({
      answer: (step, line) => (step === 'RCPT' && line.includes('<a@') ? '354 what' : undefined),
    });
    const receipt = await transport.send(frozenMail({ to: ['a@example.org', 'b@example.org'] }), sendOptions());
    expect(outcomes(receipt)).toEqual(['deferred', 'accepted']);
  });
});

describe('a connection after a refusal', () => {
  it('is reset and used again', async () => {
    let refuse = true;
    const { transport, server } = await start({
      answer: (step) => (step === 'END' && refuse ? '554 5.7.1 spam' : undefined),
    });
    await transport.send(frozenMail(), sendOptions());
    refuse = false;
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
    expect(server.commands.filter((line) => /^(RSET|MAIL)/.test(line)).map((line) => line.slice(0, 4))).toEqual([
      'MAIL',
      'RSET',
      'MAIL',
    ]);
  });

  it('is not used again when the refusal came in the middle of the text', async () => {
    let refuse = true;
    const { transport, server } = await start(
      { answer: (step) => (step === 'TEXT' && refuse ? '552 5.3.4 too much' : undefined) },
      {},
      { maxConnections: 1 },
    );
    const receipt = await transport.send(frozenMail({ body: longBody(5_000_000) }), sendOptions());
    expect(receipt.recipients).toMatchObject([{ outcome: 'rejected', code: '552' }]);
    refuse = false;
    // The only place is free at once: nothing is said on a connection that is in the middle of a text.
    const soon = sendOptions({ signal: AbortSignal.timeout(3_000) });
    expect(outcomes(await transport.send(frozenMail(), soon))).toEqual(['accepted']);
    expect(server.connections()).toBe(2);
    expect(server.mails).toHaveLength(1);
  });

  it('does not believe a 250 that comes before the end of the text', async () => {
    const { transport, server } = await start({ answer: at('TEXT', '250 2.0.0 kept already') });
    const options = sendOptions();
    const receipt = await transport.send(frozenMail({ body: longBody(5_000_000) }), options);
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(receipt.trouble?.scope).toBe('connection');
    expect(options.commits()).toBe(0);
    expect(server.mails).toEqual([]);
  });
});

describe('what a reply may carry', () => {
  it('is one line of at most 300 characters, without control characters', async () => {
    const long = `550-5.1.1 first\r\n550-5.1.1 second\u0007\r\n550 5.1.1 ${'x'.repeat(2_000)}`;
    const { transport } = await start({ answer: at('RCPT', long) });
    const receipt = await transport.send(frozenMail(), sendOptions());
    const reply = receipt.recipients[0]?.reply ?? '';
    expect(reply.startsWith('5.1.1 first second xxx')).toBe(true);
    expect(reply).toHaveLength(300);
  });

  it.each(['PLAIN', 'LOGIN'])('never shows the password, even where the server echoes AUTH %s', async (mechanism) => {
    const plain = Buffer.from('\0corpus\0swordfish').toString('base64');
    const login = Buffer.from('swordfish').toString('base64');
    const { transport, server } = await start(
      {
        extensions: [`AUTH ${mechanism}`],
        answer: (step, line) => {
          if (step === 'AUTH' && mechanism === 'LOGIN') return '334 VXNlcm5hbWU6';
          if (line === Buffer.from('corpus').toString('base64')) return '334 UGFzc3dvcmQ6';
          return step === 'AUTH' || line === login ? `535 5.7.8 bad: ${line} ${plain} swordfish` : undefined;
        },
      },
      password,
    );
    const receipt = await transport.send(frozenMail(), sendOptions());
    expect(server.commands.some((line) => line.includes(mechanism === 'PLAIN' ? plain : login))).toBe(true);
    const reported = JSON.stringify(receipt);
    expect(receipt.trouble).toMatchObject({ scope: 'account', code: '535' });
    for (const secret of ['swordfish', plain, login, login.replace(/=+$/, '')]) expect(reported).not.toContain(secret);
  });
});
