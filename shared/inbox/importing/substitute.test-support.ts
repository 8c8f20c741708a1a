import { expect } from 'vitest';
import { assetPaths } from '../../assets/asset.ts';
import { AssetBlobs } from '../../assets/asset-blobs.ts';
import { accountId } from '../../platform/ids.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { prefixes } from '../keys.ts';
import { runImport } from './run.ts';

const signal = new AbortController().signal;
export const minuteMs = 60_000;
export const dayMs = 24 * 60 * minuteMs;

/** A mail of these lines. */
export const text = (lines: readonly string[]) => Buffer.from(lines.join('\r\n'));

/** What the server gives in the end. */
export const mail = text([
  'From: sender@example.com',
  'Subject: The very mail',
  'Message-ID: <very@example.com>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  '',
  'words',
  '--b',
  'Content-Disposition: attachment; filename=a.txt',
  '',
  'the attachment',
  '--b--',
  '',
]);

/** What it gives at first. */
export const note = text([
  'From: Microsoft Exchange Server 2010',
  'Subject: Retrieval using the IMAP4 protocol failed for the following message: 20004',
  '',
  'The server could not retrieve the following message.',
  '',
]);

/** Imports once, when pending mail is due. */
export async function importLater(inbox: TestInbox, ms = 10 * minuteMs): Promise<void> {
  inbox.now += ms;
  await runImport(inbox.context, inbox.name, {});
}

/** An inbox with one asset: of a note, unless the server gives something else at `first`. `given`: what it gives from now on. */
export async function imported(rule: Readonly<Record<string, unknown>> = {}, first: Buffer = note) {
  const inbox = new TestInbox(rule);
  inbox.store.mails = [{ item: '0000000001', bytes: mail, receivedAt: inbox.now }];
  const server = { given: (): Buffer => first };
  inbox.store.content = () => ({ kind: 'bytes', bytes: server.given() });
  await importLater(inbox);
  const ledger = async () => (await inbox.rowsOf(prefixes.ledger))[0];
  const id = accountId(inbox.name, String((await ledger())?.columns.asset));
  const paths = assetPaths(inbox.name, id);
  const describeAsset = () => new AssetBlobs(inbox.context.assets).describe(inbox.name, id, signal);
  return { inbox, server, ledger, id, paths, describeAsset, pending: () => inbox.rowsOf(prefixes.pending) };
}

export type Stage = Awaited<ReturnType<typeof imported>>;

/** What a reader gets is the note, or the mail, and is what its description says. */
export async function readAsset({ inbox, paths, describeAsset }: Stage): Promise<'note' | 'mail'> {
  const asset = await describeAsset();
  const message = inbox.assets.text(asset?.messagePath ?? paths.message);
  const isMail = message === mail.toString();
  expect(isMail || message === note.toString()).toBe(true);
  expect(asset?.size).toBe(message?.length);
  expect(asset?.defects.includes('substitute')).toBe(!isMail);
  expect(asset?.attachments.map(({ path }) => inbox.assets.text(path))).toEqual(isMail ? ['the attachment'] : []);
  return isMail ? 'mail' : 'note';
}
