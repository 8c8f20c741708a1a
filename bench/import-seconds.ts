import type { Dovecot } from '../test/support/dovecot.ts';
import { imapAccount } from '../test/support/imap-account.ts';
import type { Mailroom } from '../test/support/mailroom.ts';

/** Of every mailbox that a bench fills. */
export const password = 'a bench password';

/** A run that takes longer has failed. */
const limitSeconds = 300;

/** Makes an account of the mailbox `user` and imports it: from the request to the end of the run that it asked for, in seconds. */
export async function importSeconds(
  mailroom: Mailroom,
  dovecot: Dovecot,
  user: string,
  expected: number,
): Promise<number> {
  await imapAccount(mailroom, user, dovecot, { user, password });
  const asked = Date.now();
  const run = await mailroom.import(user, limitSeconds);
  if (run.status !== 'done' || run.imported !== expected) {
    throw new Error(`the import of ${expected} mails ended as ${JSON.stringify(run)}`);
  }
  return (Date.parse(run.finishedAt) - asked) / 1000;
}
