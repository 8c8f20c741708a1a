import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { DemoClient } from './demo-client.ts';

/** How long any one step may take, in milliseconds. */
export const stepMs = 60_000;

const messageSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  messageId: z.string(),
  recipients: z.array(z.looseObject({ address: z.string(), status: z.string() })).optional(),
});
export const runSchema = z.looseObject({
  status: z.string(),
  imported: z.number().optional(),
});
const runStartSchema = z.looseObject({ runId: z.string() });
const assetsSchema = z.looseObject({ items: z.array(z.looseObject({ id: z.string() })) });
const assetSchema = z.looseObject({
  id: z.string(),
  subject: z.string().nullish(),
  attachments: z.array(z.looseObject({ n: z.number(), filename: z.string().nullish(), size: z.number() })),
});

export type Run = z.output<typeof runSchema>;
export type Message = z.output<typeof messageSchema>;

/** Throws where something that the demo promises is not true; `what` says it in words. */
export function check(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`not true: ${what}`);
}

/** Sends a mail by a route, and waits until it is sent. The same key twice is the same mail. */
export async function send(client: DemoClient, route: string, body: object, key: string): Promise<Message> {
  const headers = { prefer: 'wait=30', 'idempotency-key': key };
  const accepted = await client.json('POST', route, messageSchema, { body, headers, expect: [200, 202] });
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

/** Imports an account, and waits for the end of the run. Throws where it failed. */
export async function importNow(client: DemoClient, account: string): Promise<Run> {
  const route = `/api/accounts/${account}`;
  const headers = { prefer: 'wait=30' };
  const { status, bytes } = await client.call('POST', `${route}/import`, { body: {}, headers, expect: [200, 202] });
  const answer: unknown = JSON.parse(bytes.toString('utf8'));
  const run = status === 200 ? runSchema.parse(answer) : await endOfRun(client, route, runStartSchema.parse(answer));
  if (run.status !== 'done') throw new Error(`an import ended as ${run.status}: ${JSON.stringify(run.error)}`);
  return run;
}

async function endOfRun(client: DemoClient, route: string, { runId }: { readonly runId: string }): Promise<Run> {
  return client.until(
    'the end of an import',
    async () => {
      const run = await client.json('GET', `${route}/runs/${runId}`, runSchema, { expect: [200] });
      return run.status === 'running' ? undefined : run;
    },
    stepMs,
  );
}

/** The ids of an account's assets, in an order of their own. */
export async function listAssets(client: DemoClient, account: string): Promise<readonly string[]> {
  const { items } = await client.json('GET', `/api/assets?account=${account}`, assetsSchema, { expect: [200] });
  return items.map((asset) => asset.id).sort();
}

/** Says what each asset is, and throws unless they are these mails, byte for byte. Answers their attachments. */
export async function compareAssets(
  client: DemoClient,
  ids: readonly string[],
  mails: readonly Buffer[],
  say: (line: string) => void,
): Promise<readonly Buffer[]> {
  check(ids.length === mails.length, `there are ${mails.length} assets (found ${ids.length})`);
  const expected = new Set(mails.map(sha256));
  const attachments: Buffer[] = [];
  for (const id of ids) {
    const { bytes } = await client.call('GET', `/api/assets/${id}/mime`, { expect: [200] });
    check(expected.delete(sha256(bytes)), 'each asset has the bytes of one mail, and none twice');
    const asset = await client.json('GET', `/api/assets/${id}`, assetSchema, { expect: [200] });
    for (const { n } of asset.attachments) {
      const got = await client.call('GET', `/api/assets/${id}/attachments/${n}`, { expect: [200] });
      attachments.push(got.bytes);
    }
    const names = asset.attachments.map((one) => `${one.filename} (${one.size} bytes)`).join(', ');
    say(`   Asset ${id}: "${asset.subject}", ${bytes.length} bytes${names && `, with ${names}`}`);
  }
  return attachments;
}

/** A mail as it comes from somebody else. */
export function incomingMail(to: string, subject: string): Buffer {
  return Buffer.from(
    [
      'From: Jane Doe <jane@example.org>',
      `To: ${to}`,
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

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
