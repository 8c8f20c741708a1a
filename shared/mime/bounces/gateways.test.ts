import { expect, test } from 'vitest';
import { collect, lines } from '../collect.test-support.ts';

/** Notices of gateways and providers, each with the part of its form that others do not have. */
interface Form {
  readonly fields: readonly string[];
  readonly body: readonly string[];
  readonly status?: string;
  readonly says?: string | RegExp;
  readonly messageId?: string;
}

const mixed = ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary="=_b"'];
const copy = [
  'Message-ID: <sent@example.com>',
  'From: ann@example.com',
  'To: bob@example.org',
  'Subject: Hello',
  '',
  'Hello',
];
const sent = '<sent@example.com>';

const forms: Readonly<Record<string, Form>> = {
  'the code far from the recipient': {
    fields: ['From: postmaster@mx.example.org', 'Subject: Undeliverable Mail: "Hello"', ...mixed],
    body: [
      '--=_b',
      '',
      'Your message:',
      '   From:    ann@example.com',
      '   Subject: Hello',
      '',
      'Could not be delivered because of',
      '',
      '550 5.1.1 User unknown',
      '',
      'The following recipients were affected: ',
      '    bob@example.org',
      '',
      'Additional Information',
      '======================',
      'Original Sender:    <ann@example.com>',
      '--=_b--',
    ],
    status: '5.1.1',
    says: '550 5.1.1 User unknown',
  },
  'the recipient alone, and words after it': {
    fields: [
      'Return-Path: <MAILER-DAEMON>',
      'From: <Postmaster@example.org>',
      'Subject: Mail System Error - Returned Mail',
    ],
    body: [
      '<bob@example.org>',
      '',
      'Each of the following recipients was rejected by a remote mail server.',
      '---------------------------------------------------',
      'Received: from mx.example.com by mx.example.org',
      ...copy,
    ],
    messageId: sent,
  },
  'a recipient with its dialogue': {
    fields: ['Return-Path: <>', 'From: Postmaster@example.org', 'Subject: Mail System Error - Returned Mail', ...mixed],
    body: [
      '--=_b',
      'Content-Type: text/plain; charset=utf-8',
      '',
      '次のあて先へのメッセージはエラーのため送信できませんでした。',
      '',
      '    Recipient: <bob@example.org>',
      '    >>> RCPT TO:<bob@example.org>',
      '    <<< 550 <bob@example.org>: User unknown',
      '--=_b--',
    ],
    says: /550 <bob/,
  },
  'no recipient but in the mail that came back': {
    fields: ['From: POSTMASTER-/abcdefghijklmnopqrstuvwxyz/x@example.org', 'Subject: Undeliverable message'],
    body: [
      '------- Failure Reasons --------',
      '',
      'Message has exceeded maximum hop count',
      '',
      '------- Returned Message --------',
      'Received: from a by b',
      ...copy,
    ],
    messageId: sent,
  },
  'an unknown user, in one line': {
    fields: [
      'From: "Postmaster" <postmaster@example.org>',
      'Sender: <postmaster@example.org>',
      'Subject: Undeliverable Mail',
    ],
    body: ['Unknown user: bob@example.org', '', '', 'Original message follows.', '', 'Received: by x', ...copy],
    messageId: sent,
  },
  'a dialogue, under a subject in Japanese': {
    fields: [
      'Return-Path: <postmaster@example.org>',
      'From: "Gateway" <postmaster@example.org>',
      'Subject: メッセージを配信できません。',
      ...mixed,
    ],
    body: [
      '--=_b',
      'Content-type: text/plain',
      '',
      'Sent <<< RCPT TO:<bob@example.org>',
      'Received >>> 550 5.1.1 <bob@example.org>... user unknown',
      '--=_b',
      'Content-type: message/rfc822',
      '',
      ...copy,
      '--=_b--',
    ],
    status: '5.1.1',
    messageId: sent,
  },
  "a server's message below the recipient": {
    fields: [
      'From: POSTMASTER <postmaster@example.org>',
      'Subject: failure notice',
      'Content-Type: text/plain; charset=utf-8',
    ],
    body: [
      '以下のメールアドレスへの送信に失敗しました。',
      'bob@example.org',
      '',
      '',
      '-------server message',
      '550 unknown user <bob@example.org>',
      '',
      '-------SMTP command',
      'DATA',
      '',
      '-------original message',
      'Received: by x',
      ...copy,
    ],
    says: /550 unknown user/,
    messageId: sent,
  },
  'the reason in brackets, and the mail as a part without a type': {
    fields: [
      'Return-Path: <>',
      'From: "Mail Deliver System" <MAILER-DAEMON@example.org>',
      'Subject: Returned Mail: User unknown',
      ...mixed,
    ],
    body: [
      'This is a multi-part message in MIME format.',
      '--=_b',
      'Content-Type: text/plain',
      '',
      '---The following addresses had delivery errors---',
      '',
      'bob@example.org [User unknown]',
      '',
      '--=_b',
      'Received: from x',
      ...copy,
      '--=_b--',
    ],
    says: '[User unknown]',
    messageId: sent,
  },
  'a report within the mail that is enclosed': {
    fields: [
      'Return-Path: <MAILER-DAEMON@example.org>',
      'From: "Mail Delivery Subsystem" <MAILER-DAEMON@example.org>',
      'Subject: Returned mail: User unknown',
      ...mixed,
    ],
    body: [
      '--=_b',
      '',
      '----- The following addresses had permanent delivery errors -----',
      '',
      '--=_b',
      'Content-Type: message/rfc822',
      '',
      'From: Mail Delivery Subsystem <MAILER-DAEMON@inner.example.org>',
      'Content-Type: multipart/report; report-type=delivery-status; boundary=i',
      '',
      '--i',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; inner.example.org',
      '',
      'Final-Recipient: RFC822; bob@example.org',
      'Action: failed',
      'Status: 5.1.1',
      '--i--',
      '--=_b--',
    ],
    status: '5.1.1',
  },
  'a report without its report': {
    fields: [
      'Return-Path: <>',
      'From: "MAILER-DAEMON" <MAILER-DAEMON@example.org>',
      'Subject: FAILURE NOTICE : Hello',
      'MIME-Version: 1.0',
      'Content-Type: multipart/report; report-type=delivery-status; boundary="=_b"',
    ],
    body: [
      '--=_b',
      '',
      '  ----- The following addresses had permanent fatal errors -----',
      '',
      '>>> bob@example.org <bob@example.org>',
      '',
      '  ----- Transcript of session follows -----',
      '550 sorry, no mailbox here by that name (#5.1.1 - chkusr)',
      '--=_b',
      'Content-type: message/rfc822',
      '',
      ...copy,
      '--=_b--',
    ],
    status: '5.1.1',
    messageId: sent,
  },
  'only the original recipient, without a type': {
    fields: [
      'Return-Path: <MAILER-DAEMON@example.org>',
      'From: <MAILER-DAEMON@example.org>',
      'Subject: Delivery Status',
      ...mixed,
    ],
    body: [
      '--=_b',
      'Content-Type: text/plain; name="deliveryproblems.txt"',
      '',
      '    --- The following addresses had delivery problems ---',
      '',
      '<bob@example.org>   (Unknown user bob@example.org)',
      '--=_b',
      'Content-Type: message/delivery-status; name="deliverystatus.txt"',
      '',
      'Original-Recipient: <bob@example.org>',
      'Action: failed',
      'Diagnostic-Code: smtp; 550 Unknown user bob@example.org',
      '--=_b--',
    ],
    says: '550 Unknown user bob@example.org',
  },
  'the reason in the next but one paragraph': {
    fields: [
      'From: "Mail Delivery System" <mailer-daemon@example.org>',
      'Subject: Mail delivery failed: returning message to sender',
    ],
    body: [
      'A message that you sent could not be delivered to one or more of',
      'its recipients. This is a permanent error.',
      '',
      'The following address failed:',
      '',
      'bob@example.org',
      '',
      'For the following reason:',
      '',
      'Mail size limit exceeded. For explanation visit',
      'http://postmaster.example.org/',
      '',
      '--- The header of the original message is following. ---',
      '',
      'Received: by x',
      ...copy,
    ],
    says: /Mail size limit exceeded/,
    messageId: sent,
  },
  'an answer under the subject of the mail, with a boundary folded wrongly': {
    fields: [
      'From: post_master@example.org',
      'In-Reply-To: <sent@example.com>',
      'Subject: Re:Hello',
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed;',
      'boundary="=_b"',
    ],
    body: [
      '--=_b',
      'Content-Type: text/plain',
      'Content-Disposition: inline',
      '',
      'Error: Invalid user address',
      '',
      'Error message below:',
      '550 - Requested action not taken: no such user here',
      '',
      'Message details:',
      '  Subject: Hello',
      '  MAIL FROM: ann@example.com',
      '  RCPT TO: bob@example.org',
      '  From: ann@example.com',
      '--=_b--',
    ],
    messageId: sent,
  },
  'the recipient and the code in one line': {
    fields: [
      'Return-Path: <>',
      'Subject: Delivery status notification: error',
      'From: Mailer Daemon <MAILER-DAEMON@example.org>',
    ],
    body: [
      '    Hi!',
      '',
      '    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.',
      '',
      '    An error has occurred while attempting to deliver a message for',
      '    the following list of recipients:',
      '',
      'bob@example.org: 550 5.1.1 http://support.example.org/answer.py?answer=6596',
      '',
      '    Below is a copy of the original message:',
      '',
      ...copy,
    ],
    status: '5.1.1',
    messageId: sent,
  },
  'a subject of its own': {
    fields: ['Return-Path: <>', 'From: postmaster@example.org', 'Subject: About your mail'],
    body: [
      'Hi. This is the mail server at example.org.',
      "I'm afraid I wasn't able to deliver your message to the following addresses.",
      "This is a permanent error; I've given up.",
      '',
      'bob@example.org',
    ],
  },
  'the subject of the mail behind a mark': {
    fields: ['From: postmaster@example.org', 'Subject: [BOUNCE] Hello'],
    body: ['Message could not be sent to bob@example.org'],
  },
  'a postmaster, the code and the recipient': {
    fields: ['From: Postmaster <post.master@example.org>', 'Subject: Hello'],
    body: ['Your message was rejected.', '', 'bob@example.org: 550 5.7.1 refused'],
    status: '5.7.1',
  },
  'no address in its words at all': {
    fields: [
      'Return-Path: <MAILER-DAEMON@example.org>',
      'From: Mail Delivery Subsystem <MAILER-DAEMON@example.org>',
      'Subject: Returned mail: Cannot send message for 4 days',
    ],
    body: [
      '   ----- Transcript of session follows -----',
      '421 example.org (smtp)... Deferred: Connection timed out during user open with example.org',
      '',
      '   ----- Unsent message follows -----',
      'Received: by x',
      ...copy,
    ],
    says: /^421 example.org/,
    messageId: sent,
  },
};

test.each(Object.entries(forms))('%s', async (_name, { fields, body, status, says, messageId }) => {
  for (const end of ['\r\n', '\n', '\r']) {
    const text = lines(...fields, 'To: ann@example.com', 'Date: Mon, 02 Jan 2023 03:04:05 +0100', '', ...body, '');
    const { mail } = await collect(text.replaceAll('\r\n', end));
    expect(mail.flags).toMatchObject({ bounce: true, autoSubmitted: true });
    expect(mail.bounce?.recipients).toMatchObject([
      {
        address: 'bob@example.org',
        action: 'failed',
        ...(status ? { status } : {}),
        ...(says ? { diagnostic: expect.stringMatching(says) } : {}),
      },
    ]);
    expect(mail.bounce).toMatchObject(messageId === undefined ? {} : { messageId });
  }
});
