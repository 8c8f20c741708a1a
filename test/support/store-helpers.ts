import type { MailContent } from '../../shared/adapters/mail-content.ts';
import type { FetchedMail, ListedMail, StoreSession } from '../../shared/adapters/store.ts';

/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal;

let count = 0;

/** A mail with a Message-ID of its own and CRLF line ends. A subject beyond ASCII goes in as an encoded word. */
export function mail(subject: string, body = 'A few words.\r\n'): Buffer {
  count += 1;
  const encoded = /^[\x20-\x7e]*$/.test(subject)
    ? subject
    : `=?utf-8?B?${Buffer.from(subject, 'utf8').toString('base64')}?=`;
  const lines = [
    'From: Sender <sender@example.com>',
    'To: corpus@example.com',
    `Subject: ${encoded}`,
    `Message-ID: <${count}.${process.pid}.${Date.now()}@example.com>`,
    'Date: Mon, 01 Jun 2026 10:00:00 +0000',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'utf8');
}

/** A mail whose body holds every octet there is but NUL, which IMAP cannot carry (RFC 3501 section 4.3.1), CR and LF. */
export function mailOfAllOctets(): Buffer {
  const octets = Array.from({ length: 256 }, (_, octet) => octet).filter((octet) => ![0, 10, 13].includes(octet));
  const header = mail('octets', '').toString('latin1').replace('charset=utf-8', 'charset=iso-8859-1');
  return Buffer.concat([Buffer.from(header, 'latin1'), Buffer.from(octets), Buffer.from('\r\n')]);
}

export async function contentBytes(content: MailContent): Promise<Buffer> {
  switch (content.kind) {
    case 'bytes':
      return content.bytes;
    case 'stream': {
      const chunks: Buffer[] = [];
      for await (const chunk of content.stream) chunks.push(chunk);
      return Buffer.concat(chunks);
    }
    case 'gone':
      throw new Error('the mail is gone');
    case 'broken':
      throw new Error(`the mail is broken: ${content.reason}`);
  }
}

/** Fetches mails and reads each to its end. */
export async function fetchAll(session: StoreSession, mails: readonly ListedMail[], signal: AbortSignal = never) {
  const fetched: { readonly mail: FetchedMail['mail']; readonly bytes: Buffer }[] = [];
  for await (const one of session.fetch(mails, { signal })) {
    fetched.push({ mail: one.mail, bytes: await contentBytes(one.content) });
  }
  return fetched;
}

export async function allMails(pages: AsyncIterable<readonly ListedMail[]>): Promise<readonly ListedMail[]> {
  const mails: ListedMail[] = [];
  for await (const page of pages) mails.push(...page);
  return mails;
}
