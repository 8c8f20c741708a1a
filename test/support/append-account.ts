import { BlobServiceClient } from '@azure/storage-blob';
import type { Dovecot } from './dovecot.ts';
import type { Mailroom } from './mailroom.ts';
import type { RawImap } from './raw-imap.ts';

/** How an account reaches a user's mailbox on a Dovecot; the secret is written. */
export async function mailboxAccess(
  mailroom: Mailroom,
  account: string,
  dovecot: Dovecot,
  user: string,
  port?: number,
) {
  const secret = `${account}-imap`;
  await mailroom.secret(account, secret, dovecot.users[user] ?? '');
  return {
    protocol: 'imap',
    host: '127.0.0.1',
    port: port ?? dovecot.ports.imap,
    auth: { type: 'password', user, secret },
    tls: { starttls: 'never' },
    timeout: 10_000,
  };
}

/** The frozen MIME of a message, as it lies in storage. */
export async function frozenMime(mailroom: Mailroom, id: string): Promise<Buffer> {
  const container = BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString).getContainerClient(
    'outbox',
  );
  return await container.getBlobClient(`${id.replace('.', '/')}.eml`).downloadToBuffer();
}

/** A mail as it lies in a folder. */
export interface FoundMail {
  readonly bytes: Buffer;
  readonly flags: readonly string[];
  /** INTERNALDATE, in ms. */
  readonly date: number;
}

/** All mails of a folder; none where there is no such folder. `folder` in modified UTF-7. */
export async function mailsIn(client: RawImap, folder: string): Promise<readonly FoundMail[]> {
  const { status } = await client.command(`STATUS "${folder}" (MESSAGES)`);
  if (/NONEXISTENT|doesn't exist/.test(status)) return [];
  if (!status.startsWith('OK')) throw new Error(`STATUS: ${status}`);
  const mails: FoundMail[] = [];
  for (const uid of await client.uids(folder)) {
    const { lines } = await client.ok(`UID FETCH ${uid} (INTERNALDATE)`);
    const date = /INTERNALDATE "([^"]*)"/.exec(lines.map(({ text }) => text).join('\n'))?.[1] ?? '';
    const bytes = (await client.fetchBody(folder, uid)) ?? Buffer.alloc(0);
    mails.push({ bytes, flags: await client.flags(folder, uid), date: Date.parse(date.trim()) });
  }
  return mails;
}

/** The instant of a mail's Date header, in ms. */
export function dateOf(bytes: Buffer): number {
  return Date.parse(/^Date: (.*)\r$/m.exec(bytes.toString('latin1'))?.[1] ?? '');
}
