import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { DemoClient } from './demo-client.ts';
import { type Laptop, mailboxUser } from './laptop.ts';

export interface DemoOptions {
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const address = `${mailboxUser}@example.com`;
const account = '/api/accounts/corpus';
/** How long any one step may take. */
const stepMs = 60_000;
/** A fired timer that found nothing due is fired again. */
const fireAgainMs = 5_000;

const messageSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  messageId: z.string(),
  recipients: z.array(z.looseObject({ address: z.string(), status: z.string() })).optional(),
});
const runSchema = z.looseObject({
  status: z.string(),
  imported: z.number().optional(),
});
const runStartSchema = z.looseObject({ runId: z.string() });
const runsSchema = z.looseObject({ items: z.array(runSchema) });
const assetsSchema = z.looseObject({ items: z.array(z.looseObject({ id: z.string() })) });
const assetSchema = z.looseObject({
  id: z.string(),
  subject: z.string().nullish(),
  attachments: z.array(z.looseObject({ n: z.number(), filename: z.string().nullish(), size: z.number() })),
});

/** Sends, watches it arrive, imports, compares, and imports again. Throws at the first thing that is not true. */
export async function runDemo(laptop: Laptop, { say, signal }: DemoOptions): Promise<void> {
  const { functionKey, masterKey } = laptop.keys;
  const client = new DemoClient({ url: laptop.url, functionKey, masterKey, signal });
  const attachment = randomBytes(20_000);

  say('1. The account "corpus": sends by SMTP, fetches by IMAP.');
  await makeAccount(client, laptop);

  say('2. A mail with an attachment, sent through POST /api/messages.');
  const sent = await send(client, attachment);
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
    laptop.mailbox.deliver(mailboxUser, incomingMail(subject));
  }
  const inMailbox = laptop.mailbox.mails(mailboxUser).map((mail) => mail.bytes);
  check(inMailbox.length === 3, 'the mailbox holds three mails');

  say('4. The timer fires, and Mailroom imports the mailbox.');
  await importByTimer(client, inMailbox.length);
  const assets = await listAssets(client);
  check(assets.length === inMailbox.length, `there are ${inMailbox.length} assets (found ${assets.length})`);
  await compareAssets(client, assets, inMailbox, attachment, say);

  say('5. Importing again.');
  const again = await importNow(client);
  check(again.imported === 0, `the second run imports nothing (imported ${again.imported})`);
  const after = await listAssets(client);
  check(after.join() === assets.join(), 'the assets are the same as before');
  check(laptop.sink.mails().length === 1, 'the mail was sent once');
  say(`   Nothing came twice: still ${after.length} assets.`);
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not true: ${what}`);
}

async function makeAccount(client: DemoClient, { sink, mailbox, keys }: Laptop): Promise<void> {
  const body = {
    name: 'corpus',
    from: `Corpus <${address}>`,
    transport: { protocol: 'smtp', host: '127.0.0.1', port: sink.port, tls: { starttls: 'never' } },
    store: {
      protocol: 'imap',
      host: '127.0.0.1',
      port: mailbox.port,
      auth: { type: 'password', user: mailboxUser, secret: 'corpus-imap' },
      // The mailbox is on this machine: the password crosses no network.
      tls: { starttls: 'never' },
    },
    // Always due, so that the demo need not wait for a minute to begin.
    import: { schedule: '* * * * * *' },
  };
  await client.call('PUT', account, { body, expect: [200, 201] });
  const secret = { value: keys.mailboxPassword };
  await client.call('PUT', `${account}/secrets/corpus-imap`, { body: secret, expect: [200] });
}

async function send(client: DemoClient, attachment: Buffer) {
  const body = {
    to: address,
    subject: 'Hello from the demo',
    text: 'A mail with an attachment.',
    attachments: [
      { filename: 'report.bin', contentType: 'application/octet-stream', content: attachment.toString('base64') },
    ],
  };
  const headers = { prefer: 'wait=30', 'idempotency-key': 'demo' };
  const accepted = await client.json('POST', '/api/messages', messageSchema, { body, headers, expect: [200, 202] });
  const record = await client.until(
    'the mail to be sent',
    async () => {
      const found = await client.json('GET', `/api/messages/${accepted.id}`, messageSchema, { expect: [200] });
      return ['scheduled', 'queued', 'sending'].includes(found.status) ? undefined : found;
    },
    stepMs,
  );
  check(record.status === 'sent', `the mail is sent (its status is ${record.status})`);
  return record;
}

function incomingMail(subject: string): Buffer {
  return Buffer.from(
    [
      'From: Jane Doe <jane@example.org>',
      `To: ${address}`,
      `Subject: ${subject}`,
      `Message-ID: <${randomBytes(12).toString('hex')}@example.org>`,
      `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=utf-8',
      '',
      'A mail that somebody else sent.',
      '',
    ].join('\r\n'),
  );
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
      const { items } = await client.json('GET', `${account}/runs`, runsSchema, { expect: [200] });
      const failed = items.find((run) => run.status === 'failed');
      if (failed) throw new Error(`an import failed: ${JSON.stringify(failed.error)}`);
      const imported = items.reduce((sum, run) => sum + (run.imported ?? 0), 0);
      return imported >= mails && items.every((run) => run.status === 'done') ? imported : undefined;
    },
    stepMs,
  );
}

async function importNow(client: DemoClient) {
  const headers = { prefer: 'wait=30' };
  const { status, bytes } = await client.call('POST', `${account}/import`, { body: {}, headers, expect: [200, 202] });
  const answer: unknown = JSON.parse(bytes.toString('utf8'));
  if (status === 200) return runSchema.parse(answer);
  const { runId } = runStartSchema.parse(answer);
  return client.until(
    'the second import',
    async () => {
      const run = await client.json('GET', `${account}/runs/${runId}`, runSchema, { expect: [200] });
      return run.status === 'running' ? undefined : run;
    },
    stepMs,
  );
}

async function listAssets(client: DemoClient): Promise<readonly string[]> {
  const { items } = await client.json('GET', '/api/assets?account=corpus', assetsSchema, { expect: [200] });
  return items.map((asset) => asset.id).sort();
}

/** Every asset is one mail of the mailbox, byte for byte, and the attachment is the one that was sent. */
async function compareAssets(
  client: DemoClient,
  ids: readonly string[],
  mails: readonly Buffer[],
  attachment: Buffer,
  say: (line: string) => void,
): Promise<void> {
  const expected = new Set(mails.map(sha256));
  let attachments = 0;
  for (const id of ids) {
    const { bytes } = await client.call('GET', `/api/assets/${id}/mime`, { expect: [200] });
    check(expected.delete(sha256(bytes)), 'each asset has the bytes of one mail, and none twice');
    const asset = await client.json('GET', `/api/assets/${id}`, assetSchema, { expect: [200] });
    for (const { n } of asset.attachments) {
      const got = await client.call('GET', `/api/assets/${id}/attachments/${n}`, { expect: [200] });
      check(got.bytes.equals(attachment), 'the attachment came through byte for byte');
      attachments++;
    }
    const names = asset.attachments.map((one) => `${one.filename} (${one.size} bytes)`).join(', ');
    say(`   Asset ${id}: "${asset.subject}", ${bytes.length} bytes${names && `, with ${names}`}`);
  }
  check(attachments === 1, 'one of them has the attachment');
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
