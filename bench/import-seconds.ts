import type { Dovecot } from '../test/support/dovecot.ts';
import { imapAccount } from '../test/support/imap-account.ts';
import type { Mailroom } from '../test/support/mailroom.ts';

/** Of every mailbox that a bench fills. */
export const password = 'a bench password';

/** A run that takes longer has failed. */
const limitSeconds = 300;

/**
 * Makes an account of the mailbox `user` and imports it. Seconds by what the run says of its beginning and end: the host
 * asks its queue up to a second apart, which is no time of the import.
 */
export async function importSeconds(
  mailroom: Mailroom,
  dovecot: Dovecot,
  user: string,
  expected: number,
): Promise<number> {
  await imapAccount(mailroom, user, dovecot, { user, password });
  const run = await mailroom.import(user, limitSeconds);
  if (run.status !== 'done' || run.imported !== expected) {
    throw new Error(`the import of ${expected} mails ended as ${JSON.stringify(run)}`);
  }
  return (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000;
}
