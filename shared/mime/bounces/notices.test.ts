import { describe, expect, test } from 'vitest';
import { collect, lines } from '../collect.test-support.ts';

/** A notice as a server writes it: `from`, `subject`, further fields, and its text. */
async function read(from: string, subject: string, fields: readonly string[], ...text: readonly string[]) {
  const { mail } = await collect(
    lines(
      ...fields,
      `From: ${from}`,
      'To: ann@example.com',
      `Subject: ${subject}`,
      'Date: Mon, 02 Jan 2023 03:04:05 +0100',
      'Message-ID: <n1@mx.example.org>',
      '',
      ...text,
      '',
    ),
  );
  return mail;
}

const nullPath = ['Return-Path: <>'];
const bob = { address: 'bob@example.org', action: 'failed' };

describe('notices of servers that write no report', () => {
  test('qmail', async () => {
    const mail = await read(
      'MAILER-DAEMON@mx.example.org',
      'failure notice',
      nullPath,
      'Hi. This is the qmail-send program at mx.example.org.',
      "I'm afraid I wasn't able to deliver your message to the following addresses.",
      "This is a permanent error; I've given up. Sorry it didn't work out.",
      '',
      '<bob@example.org>:',
      '192.0.2.1 does not like recipient.',
      'Remote host said: 550 5.1.1 User unknown',
      'Giving up on 192.0.2.1.',
      '',
      '<carl@example.org>:',
      "Sorry, I couldn't find any host named example.org. (#5.1.2)",
      '',
      '--- Below this line is a copy of the message.',
      '',
      'Return-Path: <ann@example.com>',
      'Received: (qmail 1 invoked by uid 0); 2 Jan 2023 03:04:05 -0000',
      'Message-ID: <sent@example.com>',
      'To: bob@example.org, dora@example.org',
    );
    expect(mail.flags).toMatchObject({ bounce: true, autoSubmitted: true });
    expect(mail.bounce).toEqual({
      recipients: [
        {
          ...bob,
          status: '5.1.1',
          diagnostic:
            '192.0.2.1 does not like recipient. Remote host said: 550 5.1.1 User unknown Giving up on 192.0.2.1.',
        },
        {
          address: 'carl@example.org',
          action: 'failed',
          status: '5.1.2',
          diagnostic: "Sorry, I couldn't find any host named example.org. (#5.1.2)",
        },
      ],
      messageId: '<sent@example.com>',
    });
  });

  test('Postfix, its words alone', async () => {
    const mail = await read(
      'MAILER-DAEMON@mx.example.org (Mail Delivery System)',
      'Undelivered Mail Returned to Sender',
      [],
      'This is the mail system at host mx.example.org.',
      '',
      "I'm sorry to have to inform you that your message could not",
      "be delivered to one or more recipients. It's attached below.",
      '',
      'For further assistance, please send mail to postmaster.',
      '',
      '                   The mail system',
      '',
      '<bob@example.org>: host mx2.example.org[192.0.2.1] said: 550 5.1.1',
      '    <bob@example.org>: Recipient address rejected: User unknown in virtual',
      '    mailbox table (in reply to RCPT TO command)',
    );
    expect(mail.bounce?.recipients).toMatchObject([{ ...bob, status: '5.1.1' }]);
    expect(mail.bounce?.recipients[0]?.diagnostic).toMatch(/^host mx2.*RCPT TO command\)$/);
    expect(mail.flags.bounce).toBe(true);
  });

  test('Exim', async () => {
    const mail = await read(
      'Mail Delivery System <Mailer-Daemon@mx.example.org>',
      'Mail delivery failed: returning message to sender',
      ['X-Failed-Recipients: bob@example.org, carl@example.org', 'Auto-Submitted: auto-replied'],
      'This message was created automatically by mail delivery software.',
      '',
      'A message that you sent could not be delivered to one or more of its',
      'recipients. This is a permanent error. The following address(es) failed:',
      '',
      '  bob@example.org',
      '    host mx2.example.org [192.0.2.1]',
      '    SMTP error from remote mail server after RCPT TO:<bob@example.org>:',
      '    550 5.2.1 mailbox disabled',
      '  carl@example.org',
      '    Unrouteable address',
      '',
      '------ This is a copy of the message, including all the headers. ------',
      '',
      'Return-path: <ann@example.com>',
      'Message-Id: <sent@example.com>',
    );
    expect(mail.bounce).toMatchObject({
      recipients: [
        { ...bob, status: '5.2.1', diagnostic: expect.stringContaining('mailbox disabled') },
        { address: 'carl@example.org', action: 'failed', status: undefined, diagnostic: 'Unrouteable address' },
      ],
      messageId: '<sent@example.com>',
    });
  });

  test('Sendmail of old', async () => {
    const mail = await read(
      'Mail Delivery Subsystem <MAILER-DAEMON@mx.example.org>',
      'Returned mail: User unknown',
      [],
      'The original message was received at Mon, 2 Jan 2023 03:04:05 +0100',
      'from ann@localhost',
      '',
      '   ----- The following addresses had permanent fatal errors -----',
      '<bob@example.org>',
      '    (reason: 550 5.1.1 <bob@example.org>... User unknown)',
      '',
      '   ----- Transcript of session follows -----',
      '... while talking to mx2.example.org.:',
      '>>> DATA',
      '<<< 550 5.1.1 <bob@example.org>... User unknown',
      '550 5.1.1 <bob@example.org>... User unknown',
      '',
      '   ----- Original message follows -----',
      '',
      'Message-ID: <sent@example.com>',
    );
    expect(mail.bounce).toMatchObject({ recipients: [{ ...bob, status: '5.1.1' }], messageId: '<sent@example.com>' });
    expect(mail.bounce?.recipients).toHaveLength(1);
  });

  test('Exchange 5.5', async () => {
    const mail = await read(
      'System Administrator <postmaster@example.org>',
      'Undeliverable: Hello',
      ['In-Reply-To: <sent@example.com>'],
      'Your message',
      '',
      "  To:      'bob@example.org'",
      '  Subject: Hello',
      '  Sent:    Mon, 2 Jan 2023 03:04:05 +0100',
      '',
      'did not reach the following recipient(s):',
      '',
      'bob@example.org on Mon, 2 Jan 2023 03:04:06 +0100',
      '    The recipient name is not recognized',
      '	The MTS-ID of the original message is: c=us;a= ;p=Example',
      '    MSEXCH:IMS:EXAMPLE:SITE:MX 0 (000C05A6) Unknown Recipient',
    );
    expect(mail.flags.bounce).toBe(true);
    expect(mail.bounce).toMatchObject({ recipients: [bob], messageId: '<sent@example.com>' });
    expect(mail.bounce?.recipients).toHaveLength(1);
  });

  test('Exchange Online, in HTML alone', async () => {
    const mail = await read(
      'Microsoft Outlook <postmaster@example.org>',
      'Undeliverable: Hello',
      [
        'Return-Path: <>',
        'References: <sent@example.com>',
        'MIME-Version: 1.0',
        'Content-Type: text/html; charset=utf-8',
      ],
      '<html><body><p>Your message to <a href="mailto:bob@example.org">bob@example.org</a> couldn&#39;t be delivered.</p>',
      '<p>bob wasn&#39;t found at example.org.</p><table><tr><td>Error:</td><td>550 5.1.10 RESOLVER.ADR.RecipientNotFound</td></tr></table>',
      '</body></html>',
    );
    expect(mail.flags).toMatchObject({ bounce: true, autoSubmitted: true });
    expect(mail.bounce).toMatchObject({ recipients: [bob], messageId: '<sent@example.com>' });
  });

  test('Gmail', async () => {
    const mail = await read(
      'Mail Delivery Subsystem <mailer-daemon@googlemail.com>',
      'Delivery Status Notification (Failure)',
      ['X-Failed-Recipients: bob@example.org', 'Return-Path: <>'],
      'Delivery to the following recipient failed permanently:',
      '',
      '     bob@example.org',
      '',
      'Technical details of permanent failure: ',
      'Google tried to deliver your message, but it was rejected by the server for the recipient domain example.org.',
      '',
      'The error that the other server returned was:',
      '550 5.1.1 No such user',
      '',
      '----- Original message -----',
      '',
      'Message-ID: <sent@example.com>',
    );
    expect(mail.bounce).toMatchObject({ recipients: [bob], messageId: '<sent@example.com>' });
    expect(mail.flags.bounce).toBe(true);
  });

  test('Yahoo', async () => {
    const mail = await read(
      'MAILER-DAEMON@yahoo.com',
      'Failure Notice',
      [],
      'Sorry, we were unable to deliver your message to the following address.',
      '',
      '<bob@example.org>:',
      'Remote host said: 554 delivery error: dd This user does not have an account [-5] [RCPT_TO]',
      '',
      '--- Below this line is a copy of the message.',
      '',
      'Message-ID: <sent@example.com>',
    );
    expect(mail.bounce).toMatchObject({
      recipients: [{ ...bob, diagnostic: expect.stringMatching(/^Remote host said: 554/) }],
      messageId: '<sent@example.com>',
    });
  });

  test('Domino', async () => {
    const mail = await read(
      'Postmaster <Postmaster@example.org>',
      'DELIVERY FAILURE: User bob (bob@example.org) not listed in Domino Directory',
      nullPath,
      'Your message',
      '',
      '  Subject: Hello',
      '',
      'was not delivered to:',
      '',
      '  bob@example.org',
      '',
      'because:',
      '',
      '  User bob (bob@example.org) not listed in Domino Directory',
    );
    expect(mail.bounce?.recipients).toMatchObject([{ ...bob, diagnostic: expect.stringContaining('because') }]);
    expect(mail.flags.bounce).toBe(true);
  });

  test('GroupWise', async () => {
    const mail = await read(
      'Mail Delivery <Mailer-Daemon@mx.example.org>',
      'Message status - undeliverable',
      [],
      'The message that you sent was undeliverable to the following:',
      '	bob (user not found)',
      '	carl@example.org (mailbox full)',
    );
    expect(mail.bounce?.recipients).toMatchObject([
      { address: 'carl@example.org', action: 'failed', diagnostic: '(mailbox full)' },
    ]);
    expect(mail.flags.bounce).toBe(true);
  });

  test('Mimecast', async () => {
    const mail = await read(
      'Mimecast Postmaster <postmaster@mx.example.org>',
      '[Postmaster] Email Delivery Failure',
      nullPath,
      'This is a delivery failure notification message indicating that an email you addressed to :',
      '-- bob@example.org',
      '',
      'could not be delivered. The problem appears to be :',
      '-- Recipient email server rejected the message',
      '',
      'Additional information follows :',
      '-- 550 5.1.1 User unknown',
    );
    expect(mail.bounce?.recipients).toMatchObject([bob]);
    expect(mail.flags.bounce).toBe(true);
  });

  test('the SMTP service of Windows', async () => {
    const mail = await read(
      'postmaster@example.org',
      'Delivery Status Notification (Failure)',
      nullPath,
      'This is an automatically generated Delivery Status Notification.',
      '',
      'Delivery to the following recipients failed.',
      '',
      '       bob@example.org',
    );
    expect(mail.bounce?.recipients).toMatchObject([bob]);
    expect(mail.flags.bounce).toBe(true);
  });

  test.each([
    ['Unzustellbar: Hallo', 'Ihre Nachricht konnte nicht zugestellt werden an', 'Postmaster <postmaster@example.org>'],
    ['Non remis : Bonjour', "Votre message n'a pas pu être remis à", 'postmaster@example.org'],
    ['No se puede entregar: Hola', 'No se pudo entregar el mensaje a', 'postmaster@example.org'],
    ['Недоставленное сообщение', 'Ваше письмо не может быть доставлено:', 'mailer-daemon@corp.example'],
    ['退信通知', '无法投递', 'MAILER-DAEMON@example.cn'],
    ['配信不能', 'メールは配信されませんでした', 'MAILER-DAEMON@example.jp'],
  ])('in other languages: %s', async (subject, words, from) => {
    const mail = await read(from, subject, nullPath, words, '', '<bob@example.org>', '550 5.1.1 no');
    expect(mail.flags).toMatchObject({ bounce: true, autoSubmitted: true });
    expect(mail.bounce?.recipients).toMatchObject([{ ...bob, status: '5.1.1' }]);
  });

  test.each([
    ['<>', 'Returned to you'],
    ['MAILER-DAEMON', 'x'],
    ['"Mail Delivery System" <bounce@mx.example.org>', 'Mail could not be delivered'],
    ['Mail Administrator <Postmaster@mx.example.org>', 'Mail System Error - Returned Mail'],
    ['mail.admin@example.org', 'Your mail could not be delivered'],
  ])('whoever it is from: %s', async (from, subject) => {
    const mail = await read(from, subject, [], 'Your message to bob@example.org was rejected: no such user');
    expect(mail.flags).toMatchObject({ bounce: true, autoSubmitted: true });
    expect(mail.bounce?.recipients).toMatchObject([bob]);
  });

  test('the fields of a report that stand in a plain text', async () => {
    const mail = await read(
      'MAILER-DAEMON@example.org',
      'Delivery report',
      [],
      'Reporting-MTA: dns; mx.example.org',
      '',
      'Final-Recipient: rfc822; bob@example.org',
      'Action: failed',
      'Status: 5.7.1',
      'Diagnostic-Code: smtp; 554 5.7.1 refused',
    );
    expect(mail.bounce?.recipients).toMatchObject([{ ...bob, status: '5.7.1', diagnostic: '554 5.7.1 refused' }]);
  });

  test("the sender's own address is a recipient only where there is no other", async () => {
    const other = await read(
      'MAILER-DAEMON@x.example',
      'failure notice',
      [],
      'The mail of ann@example.com could not be delivered to bob@example.org.',
    );
    expect(other.bounce?.recipients.map(({ address }) => address)).toEqual(['bob@example.org']);
    const self = await read('MAILER-DAEMON@x.example', 'failure notice', [], '<ann@example.com>: mailbox full');
    expect(self.bounce?.recipients.map(({ address }) => address)).toEqual(['ann@example.com']);
  });
});

describe('no bounces', () => {
  const none = { flags: { bounce: false }, bounce: undefined };

  test.each([
    ['Warning: message 1pABC delayed 24 hours', 'Mail Delivery System <Mailer-Daemon@x.example>'],
    ['Warning: could not send message for past 4 hours', 'MAILER-DAEMON@x.example'],
    ['Delivery Status Notification (Delay)', 'Mail Delivery Subsystem <mailer-daemon@googlemail.com>'],
    ['Delayed Mail (still being retried)', 'MAILER-DAEMON@x.example'],
  ])('it is only late: %s', async (subject, from) => {
    const mail = await read(
      from,
      subject,
      nullPath,
      'A message that you sent has not yet been delivered to bob@example.org.',
      'No action is required on your part. Delivery attempts will continue.',
    );
    expect(mail.flags).toMatchObject({ bounce: false, autoSubmitted: true });
    expect(mail.bounce?.recipients).toMatchObject([{ address: 'bob@example.org', action: 'delayed' }]);
  });

  test.each([
    ['Automatic reply: Hello', ['Return-Path: <>', 'X-Auto-Response-Suppress: All']],
    ['Re: Hello', ['Return-Path: <>', 'Auto-Submitted: auto-replied']],
    ['Abwesenheitsnotiz: Hallo', ['Return-Path: <>']],
    ['Réponse automatique : Bonjour', []],
    ['Out of Office: Hello', ['Precedence: bulk']],
    ['I am out of the office until Monday', ['X-Auto-Response-Suppress: All']],
    ['Out of office', []],
    ['自動応答: こんにちは', ['Return-Path: <>']],
    ['Away', ['X-Autoreply: yes']],
    ['Re: Hello', ['X-Autogenerated: Reply']],
    ['Re: Hello', ['Auto-Submitted: auto-replied; owner-email="ann@example.com"']],
    ['My mailbox', ['Return-Path: <>']],
    ['My mailbox', ['Return-Path:']],
  ])('an answer of a machine: %s %j', async (subject, fields) => {
    const mail = await read(
      'Bob <bob@example.org>',
      subject,
      fields,
      'I am away. This mailbox is full, write to carl@example.org.',
    );
    expect(mail).toMatchObject(none);
    expect(mail.flags.autoSubmitted).toBe(true);
  });

  test.each([
    ['Fwd: Undelivered Mail Returned to Sender', 'See below: it could not be delivered.'],
    ['Re: failure notice', '> <bob@example.org>: 550 5.1.1 User unknown'],
    ['Undelivered Mail Returned to Sender', 'Why did I get this? > 550 5.1.1 <bob@example.org> User unknown'],
    ['Delivery problems', 'My mail to carl@example.org could not be delivered: 550 5.1.1'],
    ['Returned mail policy', 'Our policy on returned mail.'],
    ['Who is out of the office next week?', 'Please tell me.'],
    ['Re: Automatic reply: Hello', 'So you are away.'],
  ])('a person who quotes or writes of one: %s', async (subject, text) => {
    const mail = await read('Bob <bob@example.org>', subject, ['Return-Path: <bob@example.org>'], text);
    expect(mail).toMatchObject(none);
    expect(mail.flags.autoSubmitted).toBe(false);
  });

  test('a person who encloses one', async () => {
    const report = lines(
      'From: MAILER-DAEMON@x.example',
      'Content-Type: multipart/report; report-type=delivery-status; boundary=r',
      '',
      '--r',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; x.example',
      '',
      'Final-Recipient: rfc822; bob@example.org',
      'Action: failed',
      '--r--',
    );
    const parts = [`Content-Type: message/rfc822\r\n\r\n${report}`, report.slice(report.indexOf('Content-Type'))];
    for (const part of parts) {
      const mail = await read(
        'Bob <bob@example.org>',
        'What is this?',
        ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=m'],
        '--m',
        '',
        'Look.',
        '--m',
        part,
        '--m--',
      );
      expect(mail).toMatchObject(none);
      expect(mail.flags.autoSubmitted).toBe(false);
    }
  });

  test('a postmaster who answers', async () => {
    const mail = await read(
      'postmaster@example.org',
      'Re: Undeliverable: Hello',
      [],
      'It was rejected: 550 5.1.1 bob@example.org',
    );
    expect(mail).toMatchObject(none);
    const house = await read(
      'postmaster@example.org',
      'New rules',
      [],
      'Mail to bob@example.org is no longer accepted.',
    );
    expect(house).toMatchObject(none);
    const parcel = await read(
      'no-reply@carrier.example',
      'Delivery failed: your parcel was not delivered',
      ['Auto-Submitted: auto-generated'],
      'It could not be delivered to Bob. Write to bob@example.org. Room 450.',
    );
    expect(parcel.flags).toMatchObject({ bounce: false, autoSubmitted: true });
    const news = await read('no-reply@example.org', 'Your order was not shipped', [], 'Write to help@example.org.');
    expect(news).toMatchObject(none);
  });
});

test('words without end take no time', { timeout: 180_000 }, async () => {
  for (const piece of [
    'a@b.example ',
    '<',
    'to ',
    '550 ',
    'delivery ',
    '@',
    'x@',
    '.',
    'deliver a b c d e f g ',
    '>',
    '-',
  ]) {
    const text = piece.repeat(200_000 / piece.length);
    const mail = await read('MAILER-DAEMON@x.example', text.slice(0, 900), [], text, text.replaceAll(' ', '\r\n'));
    expect(mail.bounce?.recipients.length ?? 0).toBeLessThanOrEqual(100);
  }
});
