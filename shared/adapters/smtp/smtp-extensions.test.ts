import { Readable } from 'node:stream';
import { afterEach, expect, it } from 'vitest';
import { frozenMail, type MailParts, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { type ScriptedSmtp, startScriptedSmtp } from '../../../test/support/scripted-smtp.ts';
import { smtpConfig } from '../../../test/support/smtp-subject.ts';
import type { Receipt } from '../transport.ts';
import { createSmtpTransport } from './smtp-transport.ts';

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function send(
  extensions: readonly string[],
  parts: MailParts,
  config: Readonly<Record<string, unknown>> = {},
): Promise<{ receipt: Receipt; server: ScriptedSmtp; commits: number; text: Buffer }> {
  const server = await startScriptedSmtp({ extensions });
  const transport = createSmtpTransport(smtpConfig({ port: server.port, ...config }), {
    ...onThisMachine,
    secret: async () => '',
    maxConnections: 1,
  });
  cleanUp.push(
    () => server.stop(),
    () => transport.close(),
  );
  const options = sendOptions();
  const mail = frozenMail(parts);
  const receipt = await transport.send(mail, options);
  return { receipt, server, commits: options.commits(), text: mail.text };
}

const command = (server: ScriptedSmtp, verb: string) => server.commands.filter((line) => line.startsWith(verb));

const dsn = { notify: ['success', 'delay'], ret: 'headers', envid: 'id=1+2' } as const;

it('asks for delivery notices where the server offers DSN, in xtext (RFC 3461), and only there', async () => {
  const asked = await send(['DSN'], { envelope: { dsn } });
  expect(command(asked.server, 'MAIL')).toEqual(['MAIL FROM:<corpus@example.com> RET=HDRS ENVID=id+3D1+2B2']);
  expect(command(asked.server, 'RCPT')).toEqual(['RCPT TO:<anna@example.org> NOTIFY=SUCCESS,DELAY']);
  const not = await send(['PIPELINING'], { envelope: { dsn } });
  expect(command(not.server, 'MAIL')).toEqual(['MAIL FROM:<corpus@example.com>']);
  expect(command(not.server, 'RCPT')).toEqual(['RCPT TO:<anna@example.org>']);
  expect(outcomes(not.receipt)).toEqual(['accepted']);
});

it('declares 8-bit text and the size where the server takes the declaration', async () => {
  const { server, text } = await send(['8BITMIME', 'SIZE 100000'], { body: 'Grüße\r\n' });
  expect(command(server, 'MAIL')).toEqual([`MAIL FROM:<corpus@example.com> BODY=8BITMIME SIZE=${text.length}`]);
});

it('rejects a mail above the announced SIZE before it offers it', async () => {
  const { receipt, server, commits } = await send(['SIZE 1000'], { body: 'x'.repeat(70).concat('\r\n').repeat(20) });
  expect(receipt.recipients).toMatchObject([{ outcome: 'rejected', code: 'SIZE', reply: 'SIZE 1000' }]);
  expect(receipt.trouble).toMatchObject({ scope: 'message', hint: expect.stringContaining('1000') });
  expect(command(server, 'MAIL')).toEqual([]);
  expect(commits).toBe(0);
});

it('sends an empty reverse-path for a null sender', async () => {
  const { server } = await send([], { envelope: { from: '' } });
  expect(command(server, 'MAIL')).toEqual(['MAIL FROM:<>']);
});

it('uses SMTPUTF8 only for what ASCII cannot say', async () => {
  const domain = await send(['SMTPUTF8'], { to: ['anna@bücher.example'] });
  expect(command(domain.server, 'RCPT')).toEqual(['RCPT TO:<anna@xn--bcher-kva.example>']);
  expect(command(domain.server, 'MAIL')).toEqual(['MAIL FROM:<corpus@example.com>']);
  expect(domain.receipt.recipients).toMatchObject([{ address: 'anna@bücher.example', outcome: 'accepted' }]);
  const local = await send(['SMTPUTF8'], { to: ['jürgen@example.org'] });
  expect(command(local.server, 'MAIL')).toEqual(['MAIL FROM:<corpus@example.com> SMTPUTF8']);
  expect(command(local.server, 'RCPT')).toEqual(['RCPT TO:<jürgen@example.org>']);
});

it('rejects only the addresses that need SMTPUTF8 where the server lacks it', async () => {
  const to = ['jürgen@example.org', 'anna@example.org', 'a@bücher.example'];
  // Whom no header names.
  const some = await send(['PIPELINING'], { envelope: { to } });
  expect(some.receipt.recipients.map(({ outcome, code }) => [outcome, code])).toEqual([
    ['rejected', 'SMTPUTF8'],
    ['accepted', '250'],
    ['accepted', '250'],
  ]);
  expect(some.receipt.trouble).toMatchObject({ scope: 'message', hint: expect.stringContaining('SMTPUTF8') });
  const sender = await send(['PIPELINING'], { to: ['anna@example.org'], envelope: { from: 'jürgen@example.com' } });
  expect(sender.receipt.recipients).toMatchObject([{ outcome: 'rejected', code: 'SMTPUTF8' }]);
  expect(command(sender.server, 'MAIL')).toEqual([]);
});

it('never lets an address carry a command', async () => {
  const to = [
    'a@example.org>\r\nRCPT TO:<b@example.org',
    'anna@example.org',
    'c@example.org\r\nDATA',
    '',
    '<d@example.org>',
  ];
  const { receipt, server } = await send(['PIPELINING'], { to });
  expect(outcomes(receipt)).toEqual(['rejected', 'accepted', 'rejected', 'rejected', 'rejected']);
  expect(command(server, 'RCPT')).toEqual(['RCPT TO:<anna@example.org>']);
  const sender = await send([], { envelope: { from: 'a@example.com> SIZE=1\r\nQUIT' } });
  expect(outcomes(sender.receipt)).toEqual(['rejected']);
  expect(command(sender.server, 'MAIL')).toEqual([]);
});

it('greets by the name it is given, else by its address (RFC 5321 section 4.1.3)', async () => {
  expect((await send([], {})).server.commands[0]).toBe('EHLO [127.0.0.1]');
  expect((await send([], {}, { heloName: 'mailroom.example.com' })).server.commands[0]).toBe(
    'EHLO mailroom.example.com',
  );
});

it('stuffs dots, whatever pieces the text comes in', async () => {
  const { server, text } = await send([], { body: '.\r\n..\r\n.end\r\n\r\n.\r\n' });
  expect(server.mails.map((mail) => mail.text.equals(text))).toEqual([true]);
});

it('offers nothing of a mail whose headers or text the server cannot take, and says why (RFC 6531, RFC 6152)', async () => {
  const to = ['jürgen@example.org', 'anna@example.org'];
  const headers = await send(['PIPELINING', '8BITMIME'], { to, smtpUtf8: true });
  expect(headers.receipt.recipients.map(({ outcome, code }) => [outcome, code])).toEqual([
    ['rejected', 'SMTPUTF8'],
    ['rejected', 'SMTPUTF8'],
  ]);
  const signed = 'Subject: s\r\nDKIM-Signature: v=1\r\n\r\nGrüße\r\n';
  const body = await send(['PIPELINING', 'SMTPUTF8'], {
    size: Buffer.byteLength(signed),
    open: async () => Readable.from([Buffer.from(signed)]),
  });
  expect(body.receipt.recipients).toMatchObject([{ outcome: 'rejected', code: '8BITMIME' }]);
  expect(body.receipt.trouble).toMatchObject({ scope: 'message', hint: expect.stringContaining('signature') });
  for (const { server, commits } of [headers, body]) expect([command(server, 'MAIL'), commits]).toEqual([[], 0]);
  const ascii = await send(['PIPELINING'], { smtpUtf8: true });
  expect(outcomes(ascii.receipt)).toEqual(['accepted']);
});

it('asks for SMTPUTF8 where only a header needs it, since those it was for have the mail already', async () => {
  const { server } = await send(['SMTPUTF8', '8BITMIME'], { smtpUtf8: true });
  expect(command(server, 'MAIL')).toEqual(['MAIL FROM:<corpus@example.com> SMTPUTF8 BODY=8BITMIME']);
});

it('re-encodes 8-bit text where the server does not take it, and says the size that it has then', async () => {
  const body = '.Grüße\r\n'.repeat(5_000);
  const { receipt, server, text } = await send(['SIZE 1000000'], { body });
  expect(outcomes(receipt)).toEqual(['accepted']);
  const [mail] = server.mails;
  expect(command(server, 'MAIL')).toEqual([`MAIL FROM:<corpus@example.com> SIZE=${mail?.text.length}`]);
  const [header = '', encoded = ''] = mail?.text.toString('latin1').split('\r\n\r\n') ?? [];
  expect(header).toContain('Content-Transfer-Encoding: quoted-printable');
  expect(encoded).toBe('.Gr=C3=BC=C3=9Fe\r\n'.repeat(5_000));
  const large = await send([`SIZE ${text.length}`], { body });
  expect(large.receipt.recipients).toMatchObject([{ outcome: 'rejected', code: 'SIZE' }]);
});
