import type { ImapMailbox } from '../../local/imap-mailbox/imap-mailbox.ts';
import type { Mailroom } from './mailroom.ts';

/** Makes (or changes) an account that imports the embedded mailbox of its own name; `rule`: its `import`. */
export async function mailboxAccount(
  mailroom: Mailroom,
  mailbox: ImapMailbox,
  name: string,
  rule: Readonly<Record<string, unknown>> = {},
  fields: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await mailroom.secret(name, `${name}-imap`, passwordOf(name));
  await mailroom.expect([200, 201], 'PUT', `/api/accounts/${name}`, {
    body: {
      from: `${name}@example.com`,
      store: {
        protocol: 'imap',
        host: '127.0.0.1',
        port: mailbox.port,
        auth: { type: 'password', user: name, secret: `${name}-imap` },
        tls: { starttls: 'never' },
      },
      import: { schedule: null, ...rule },
      ...fields,
    },
  });
}

export function passwordOf(user: string): string {
  return `password of ${user}`;
}

/** A small mail without attachments. */
export function simpleMail(subject: string): Buffer {
  return Buffer.from(
    `From: Jane Doe <jane@example.org>\r\nTo: corpus@example.com\r\nSubject: ${subject}\r\n` +
      `Message-ID: <${subject}@example.org>\r\nDate: Thu, 01 Jan 2026 10:00:00 +0100\r\n\r\nText of ${subject}\r\n`,
  );
}
