import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { check, compareAssets, importNow, incomingMail, listAssets, runSchema, send, stepMs } from './demo-calls.ts';
import { DemoClient } from './demo-client.ts';
import { graphSteps } from './demo-graph-steps.ts';
import type { Laptop } from './laptop.ts';
import { mailboxUser } from './laptop-mailboxes.ts';
import { imapReadyMailbox } from './ready-mailboxes.ts';

export interface DemoOptions {
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const address = `${mailboxUser}@example.com`;
const account = 'corpus';
const route = `/api/accounts/${account}`;
/** A fired timer that found nothing due is fired again. */
const fireAgainMs = 5_000;

const runsSchema = z.looseObject({ items: z.array(runSchema) });

/**
 * Sends, watches it arrive, imports, compares, and imports again; then the same with Microsoft Graph. Throws at the
 * first thing that is not true.
 */
export async function runDemo(laptop: Laptop, { say, signal }: DemoOptions): Promise<void> {
  const { functionKey, masterKey } = laptop.keys;
  const client = new DemoClient({ url: laptop.url, functionKey, masterKey, signal });
  const attachment = randomBytes(20_000);

  say('1. The account "corpus": sends by SMTP, fetches by IMAP.');
  await makeAccount(client, laptop);

  say('2. A mail with an attachment, sent through POST /api/messages.');
  const sent = await send(client, '/api/messages', mailWith(attachment), 'demo');
  say(`   Mailroom says it is sent: ${sent.messageId}`);
  const arrived = await laptop.sink.waitFor((mail) => mail.bytes.includes(sent.messageId), { timeout: stepMs, signal });
  check(arrived.to.join() === address, 'the mail arrived for its recipient');
  check(
    arrived.bytes.includes('filename=report.bin') || arrived.bytes.includes('"report.bin"'),
    'it has its attachment',
  );
  say(`   It arrived at the SMTP server: ${arrived.bytes.length} bytes for ${arrived.to.join(', ')}`);

  say('3. Two more mails come into the mailbox by themselves.');
  for (const subject of ['An invoice', 'A reminder']) {
    laptop.mailbox.deliver(mailboxUser, incomingMail(address, subject));
  }
  const inMailbox = laptop.mailbox.mails(mailboxUser).map((mail) => mail.bytes);
  check(inMailbox.length === 3, 'the mailbox holds three mails');

  say('4. The timer fires, and Mailroom imports the mailbox.');
  await importByTimer(client, inMailbox.length);
  const assets = await listAssets(client, account);
  const attachments = await compareAssets(client, assets, inMailbox, say);
  check(attachments.length === 1, 'one of them has an attachment');
  check(attachments[0]?.equals(attachment) === true, 'the attachment came through byte for byte');

  say('5. Importing again.');
  const again = await importNow(client, account);
  check(again.imported === 0, `the second run imports nothing (imported ${again.imported})`);
  const after = await listAssets(client, account);
  check(after.join() === assets.join(), 'the assets are the same as before');
  check(laptop.sink.mails().length === 1, 'the mail was sent once');
  say(`   Nothing came twice: still ${after.length} assets.`);

  await graphSteps(client, laptop, say);
}

async function makeAccount(client: DemoClient, { sink, mailbox, keys }: Laptop): Promise<void> {
  const parts = { smtpPort: sink.port, imapPort: mailbox.port, password: keys.mailboxPassword };
  const { account: ready, secrets } = imapReadyMailbox(parts);
  // Always due, so that the demo need not wait for a minute to begin.
  const body = { ...ready, import: { schedule: '* * * * * *' } };
  await client.call('PUT', route, { body, expect: [200, 201] });
  for (const [name, value] of Object.entries(secrets))
    await client.call('PUT', `${route}/secrets/${name}`, { body: { value }, expect: [200] });
}

function mailWith(attachment: Buffer) {
  return {
    to: address,
    subject: 'Hello from the demo',
    text: 'A mail with an attachment.',
    attachments: [
      { filename: 'report.bin', contentType: 'application/octet-stream', content: attachment.toString('base64') },
    ],
  };
}

/** Fires the timer until the runs it started have imported so many mails. */
async function importByTimer(client: DemoClient, mails: number): Promise<void> {
  let firedAt = Number.NEGATIVE_INFINITY;
  await client.until(
    'the import that the timer starts',
    async () => {
      if (Date.now() - firedAt > fireAgainMs) {
        await client.call('POST', '/admin/functions/import-schedule', { body: { input: '' }, expect: [202] });
        firedAt = Date.now();
      }
      const { items } = await client.json('GET', `${route}/runs`, runsSchema, { expect: [200] });
      const failed = items.find((run) => run.status === 'failed');
      if (failed) throw new Error(`an import failed: ${JSON.stringify(failed.error)}`);
      const imported = items.reduce((sum, run) => sum + (run.imported ?? 0), 0);
      return imported >= mails && items.every((run) => run.status === 'done') ? imported : undefined;
    },
    stepMs,
  );
}
