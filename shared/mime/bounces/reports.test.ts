import { expect, test } from 'vitest';
import { collect, lines } from '../collect.test-support.ts';
import { readDeliveryStatus } from './delivery-status.ts';

const status = (...text: string[]) => readDeliveryStatus(lines(...text));

/** A report as RFC 3464 has it. `root`: further fields of its header. */
async function report(fields: readonly string[], options: { type?: string; more?: string; status?: string } = {}) {
  const {
    type = 'multipart/report; report-type=delivery-status',
    more = '',
    status: name = 'message/delivery-status',
  } = options;
  const { mail } = await collect(
    lines(
      'Return-Path: <>',
      'From: postmaster@mx.example.org',
      'To: ann@example.com',
      'Subject: Report',
      'MIME-Version: 1.0',
      `Content-Type: ${type}; boundary=b`,
      '',
      '--b',
      'Content-Type: text/plain',
      '',
      'A report.',
      '--b',
      `Content-Type: ${name}`,
      '',
      'Reporting-MTA: dns; mx.example.org',
      '',
      ...fields,
      '',
      `--b${more}--b--`,
    ).replace('--b--b--', '--b--'),
  );
  return mail;
}

test('several recipients, with what became of each', async () => {
  const mail = await report(
    [
      'Original-Recipient: rfc822;Bob@Example.org',
      'Final-Recipient: rfc822;bob@internal.example.org',
      'Action: failed',
      'Status: 5.1.1',
      'Diagnostic-Code: smtp; 550 5.1.1 no such user,',
      '    really',
      '',
      'Final-Recipient: RFC822; <carl@example.org>',
      'Action: Delayed (will be tried again)',
      'Status: 4.4.7 (expired)',
      '',
      'Final-Recipient: rfc822; dora@example.org',
      'Action: relayed',
      'Status: 2.0.0',
      '',
      'Final-Recipient: rfc822; list@example.org',
      'Action: expanded',
      'Status: 2.0.0',
    ],
    { more: '\r\nContent-Type: message/rfc822\r\n\r\nSubject: Hello\r\nMessage-ID: <sent@example.com>\r\n\r\nx\r\n' },
  );
  expect(mail.bounce).toEqual({
    recipients: [
      { address: 'Bob@Example.org', action: 'failed', status: '5.1.1', diagnostic: '550 5.1.1 no such user, really' },
      { address: 'carl@example.org', action: 'delayed', status: '4.4.7', diagnostic: undefined },
      { address: 'dora@example.org', action: 'relayed', status: '2.0.0', diagnostic: undefined },
      { address: 'list@example.org', action: 'expanded', status: '2.0.0', diagnostic: undefined },
    ],
    messageId: '<sent@example.com>',
  });
  expect(mail.flags).toMatchObject({ bounce: true, autoSubmitted: true });
});

test.each(['delivered', 'delayed', 'relayed', 'expanded'])('%s alone is no bounce', async (action) => {
  const mail = await report(['Final-Recipient: rfc822; bob@example.org', `Action: ${action}`, 'Status: 2.0.0']);
  expect(mail.flags).toMatchObject({ bounce: false, autoSubmitted: true });
  expect(mail.bounce?.recipients).toMatchObject([{ address: 'bob@example.org', action }]);
});

test.each([
  ['multipart/report', 'message/delivery-status'],
  ['multipart/mixed', 'message/delivery-status'],
  ['multipart/report; report-type="delivery-status"', 'message/global-delivery-status'],
])('in a %s', async (type, name) => {
  const mail = await report(['Final-Recipient: rfc822; bob@example.org', 'Action: failed', 'Status: 5.0.0'], {
    type,
    status: name,
  });
  expect(mail.flags.bounce).toBe(true);
  expect(mail.bounce?.recipients).toMatchObject([{ address: 'bob@example.org', action: 'failed' }]);
});

test('the header of what came back, by itself', async () => {
  const mail = await report(['Final-Recipient: rfc822; bob@example.org', 'Action: failed'], {
    more: '\r\nContent-Type: text/rfc822-headers\r\n\r\nReceived: by x\r\nMessage-Id:\r\n <sent@example.com>\r\n',
  });
  expect(mail.bounce?.messageId).toBe('<sent@example.com>');
});

test('a read receipt and a complaint are reports of other kinds', async () => {
  for (const type of ['disposition-notification', 'feedback-report']) {
    const mail = await report([], { type: `multipart/report; report-type=${type}`, status: `message/${type}` });
    expect(mail.flags).toMatchObject({ bounce: false, autoSubmitted: true });
    expect(mail.bounce).toBeUndefined();
  }
});

test('damaged reports', () => {
  const recipients = (...text: string[]) => status(...text).recipients;
  // Without the empty line between the groups.
  expect(
    recipients(
      'Reporting-MTA: dns; x',
      'Final-Recipient: rfc822; a@x.example',
      'Action: failed',
      'Final-Recipient: rfc822; b@x.example',
      'Action: delayed',
    ),
  ).toMatchObject([
    { address: 'a@x.example', action: 'failed' },
    { address: 'b@x.example', action: 'delayed' },
  ]);
  // Without an action.
  expect(recipients('Final-Recipient: rfc822; a@x.example', 'Status: 5.2.2')).toMatchObject([{ action: 'failed' }]);
  expect(recipients('Final-Recipient: rfc822; a@x.example')).toMatchObject([{ action: undefined }]);
  // With a status that says nothing, and an answer that does.
  expect(
    recipients('Final-Recipient: rfc822; a@x.example', 'Status: 5.0.0', 'Diagnostic-Code: smtp; 550-5.7.1 refused'),
  ).toMatchObject([{ status: '5.7.1' }]);
  // A phone number is no status code.
  expect(
    recipients('Final-Recipient: rfc822; a@x.example', 'Status: 5', 'Diagnostic-Code: x; at 10.5.1.1.2'),
  ).toMatchObject([{ status: undefined }]);
  // Types, names and brackets in all forms; letters of other scripts (RFC 6533).
  expect(recipients('Final-Recipient: a@x.example')).toMatchObject([{ address: 'a@x.example' }]);
  expect(recipients('final-recipient : LOCAL;"a@x.example"')).toMatchObject([{ address: 'a@x.example' }]);
  expect(recipients('Final-Recipient: rfc822; Ann <a@x.example>')).toMatchObject([{ address: 'a@x.example' }]);
  expect(recipients('Final-Recipient: utf-8; j\\x{FC}rgen@x.example')).toMatchObject([{ address: 'jürgen@x.example' }]);
  expect(recipients('Final-Recipient: x-local; bob')).toMatchObject([{ address: 'bob' }]);
  expect(recipients('Original-Recipient: rfc822;', 'Final-Recipient: rfc822; a@x.example')).toMatchObject([
    { address: 'a@x.example' },
  ]);
});

test('a report of nothing but recipients, or of nothing at all, is bounded', () => {
  const many = 'Final-Recipient: rfc822; a@x.example\r\nAction: failed\r\n\r\n'.repeat(5_000);
  expect(readDeliveryStatus(many).recipients).toHaveLength(1_000);
  for (const piece of ['\r\n', ' ', 'a', 'a:', 'a: b\r\n', ' x\r\n', 'Final-Recipient:<', '\\x{']) {
    readDeliveryStatus(piece.repeat(262_144 / piece.length));
  }
});
