import { describe, expect, test } from 'vitest';
import { collect, head, lines } from './collect.test-support.ts';

const mixed = (...parts: readonly string[]) =>
  lines(
    head,
    'Content-Type: multipart/mixed; boundary="b"',
    '',
    ...parts.flatMap((part) => ['--b', part]),
    '--b--',
    '',
  );
const part = (fields: readonly string[], body: string) => lines(...fields, '', body);

describe('trap 25: names and headers as senders write them', () => {
  test.each([
    [`filename*=utf-8''Pr%C3%BCfung%20%E2%82%AC.pdf`, 'Prüfung €.pdf'],
    [`filename*=iso-8859-1'de'%FCber.txt`, 'über.txt'],
    [`filename*0="part one"; filename*1=" and two.txt"`, 'part one and two.txt'],
    [`filename*0*=utf-8''%C3; filename*1*=%BC.txt`, 'ü.txt'],
    [`filename="=?utf-8?Q?=C3=BC.txt?="`, 'ü.txt'],
    [`filename="=?utf-8?B?w7w=?=\r\n =?utf-8?B?LnR4dA==?="`, 'ü.txt'],
    [`filename=no quotes.txt`, 'no quotes.txt'],
    [`filename="über.txt"`, 'über.txt'],
    [`filename="../../x"`, '../../x'],
  ])('%s', async (parameter, expected) => {
    const { mail } = await collect(mixed(part([`Content-Disposition: attachment; ${parameter}`], 'x')));
    expect(mail.attachments.map((attachment) => attachment.filename)).toEqual([expected]);
  });

  test('raw 8-bit headers: UTF-8, else windows-1252', async () => {
    expect((await collect('Subject: Grüße\r\n\r\n')).mail.subject).toBe('Grüße');
    expect((await collect(Buffer.from('Subject: caf\u00e9 \u0080\r\n\r\n', 'latin1'))).mail.subject).toBe('café €');
  });

  test('control characters of an encoded word do not get through', async () => {
    expect((await collect('Subject: a=?utf-8?Q?=0D=0ABcc:_x?=\r\n\r\n')).mail.subject).toBe('a Bcc: x');
  });
});

describe('trap 40: mail of machines', () => {
  const flags = async (...fields: string[]) => (await collect(lines(head, ...fields, '', 'x'))).mail.flags;

  test.each([
    ['Auto-Submitted: auto-generated', true],
    ['Auto-Submitted: auto-replied; owner-email="x@y"', true],
    ['Auto-Submitted: no', false],
    ['Auto-Submitted: No (a person)', false],
    ['X-Autoreply: yes', true],
    ['Precedence: auto_reply', true],
    ['Precedence: bulk', false],
    ['X-Auto-Response-Suppress: All', false],
  ])('%s', async (field, expected) => {
    expect((await flags(field)).autoSubmitted).toBe(expected);
  });

  test.each([
    [['Return-Path: <>'], false],
    [['X-Failed-Recipients: x@y.example'], true],
    [['Content-Type: message/delivery-status'], true],
    [['Content-Type: multipart/report; report-type=delivery-status; boundary=b'], true],
    [['Return-Path: <>', 'Auto-Submitted: auto-replied (vacation)'], false],
    [['Return-Path: <a@b.example>'], false],
  ])('%j: bounce %s', async (fields, expected) => {
    expect((await flags(...fields)).bounce).toBe(expected);
  });

  test('a read receipt is automatic and no bounce', async () => {
    const receipt = await flags(
      'Return-Path: <>',
      'Content-Type: multipart/report; report-type=disposition-notification; boundary=b',
    );
    expect(receipt).toMatchObject({ autoSubmitted: true, bounce: false });
  });
});

describe('threads', () => {
  test('references, in-reply-to and authentication results', async () => {
    const { mail } = await collect(
      lines(
        head,
        'References: <a@x>\r\n <b@y>, junk',
        'In-Reply-To: <b@y> (said Bob)',
        'Authentication-Results: mx.example; spf=pass',
        'Authentication-Results: other; dkim=fail',
        '',
        '',
      ),
    );
    expect(mail.references).toEqual(['<a@x>', '<b@y>']);
    expect(mail.inReplyTo).toBe('<b@y>');
    const spf = { method: 'spf', result: 'pass', reason: undefined, properties: [] };
    expect(mail.authenticationResults).toEqual([
      { authservId: 'mx.example', results: [spf], field: 'mx.example; spf=pass' },
    ]);
  });
});
