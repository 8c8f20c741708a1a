export interface BounceMail {
  /** Of the mail that came back, with its angle brackets. */
  readonly messageId: string;
  readonly recipient: string;
  /** Default: failed. */
  readonly action?: 'failed' | 'delayed' | 'delivered';
  /** Says bounces of one mail apart. Default: 1. */
  readonly n?: number;
}

/** A delivery status notification (RFC 3464) as mail servers write it. */
export function bounceMail({ messageId, recipient, action = 'failed', n = 1 }: BounceMail): Buffer {
  const status = action === 'failed' ? '5.1.1' : action === 'delayed' ? '4.2.2' : '2.0.0';
  return Buffer.from(
    [
      'Return-Path: <>',
      'From: Mail Delivery System <MAILER-DAEMON@mx.example.org>',
      'To: sender@example.com',
      `Subject: ${action === 'failed' ? 'Undelivered Mail Returned to Sender' : 'Delivery report'}`,
      'Date: Mon, 02 Mar 2026 03:04:05 +0100',
      `Message-ID: <bounce-${n}-of-${messageId.slice(1)}`,
      'Auto-Submitted: auto-replied',
      'MIME-Version: 1.0',
      'Content-Type: multipart/report; report-type=delivery-status; boundary=b',
      '',
      '--b',
      '',
      'This is the mail system at host mx.example.org.',
      '--b',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mx.example.org',
      '',
      `Final-Recipient: rfc822; ${recipient}`,
      `Action: ${action}`,
      `Status: ${status}`,
      `Diagnostic-Code: smtp; ${status === '5.1.1' ? '550 5.1.1 There is no such user' : status}`,
      '',
      '--b',
      'Content-Type: text/rfc822-headers',
      '',
      'From: sender@example.com',
      `To: ${recipient}`,
      'Subject: Zahlen',
      `Message-ID: ${messageId}`,
      '',
      '--b--',
      '',
    ].join('\r\n'),
  );
}
