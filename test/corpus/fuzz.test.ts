import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { assetPaths } from '../../shared/assets/asset.ts';
import { htmlPage } from '../../shared/assets/html-page.ts';
import { maxSummaryBytes, readDescription, readSummary } from '../../shared/assets/summary.ts';
import { checkIn } from '../../shared/inbox/importing/check-in.ts';
import { EmptyMailError } from '../../shared/mime/mail.ts';
import { containerNames, storageClients } from '../../shared/platform/storage.ts';
import { random } from '../support/mails.ts';

/** How long mails are made and tried. */
const runMs = process.env.SOAK ? 600_000 : 30_000;
const seed = 20_261_129;

/** A check-in that takes as long hangs: some mails have a thousand parts, each a blob, and the machine may be busy. */
const hangMs = process.env.SOAK ? 600_000 : 120_000;

const testdata = fileURLToPath(new URL('../../shared/mime/testdata/', import.meta.url));
const seeds = readdirSync(testdata).map((name) => readFileSync(`${testdata}${name}`));

/** What mails are made of, for mutations that random bytes would not find. */
const tokens = [
  ...[
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    '\0',
    ' ',
    '\t',
    '"',
    '\\',
    '(',
    ')',
    '<',
    '>',
    ';',
    '=',
    '?=',
    '=?',
    '--',
    '--b',
    '--b--',
  ],
  ...['=?utf-8?B?w7w=?=', '=?iso-2022-jp?B?GyRCJUYbKEI=?=', '=3D', '=\r\n', '\u001b$B', '\u001b(B', '+ADw-', '\ufeff'],
  ...[
    'Content-Type: ',
    'multipart/mixed; boundary=b',
    'multipart/related; start="<x>"',
    'multipart/report',
    'message/rfc822',
  ],
  ...[
    'message/delivery-status',
    'text/html; charset=utf-16',
    'text/plain; format=flowed; delsp=yes',
    'application/ms-tnef',
  ],
  ...[
    'Content-Transfer-Encoding: base64\r\n',
    "Content-Disposition: attachment; filename*0*=utf-8''%",
    'begin 644 x\n',
  ],
  ...[
    '=ybegin line=128 size=9 name=x\r\n',
    '<meta charset=',
    '<!--',
    '<svg><style>',
    'cid:',
    'Final-Recipient: rfc822;',
  ],
].map((token) => Buffer.from(token, 'latin1'));

const next = random(seed);
const below = (limit: number) => Math.floor(next() * limit);

function mutated(bytes: Buffer): Buffer {
  const at = below(bytes.length + 1);
  const end = Math.min(bytes.length, at + below(200));
  const parts: readonly Buffer[] = [
    [bytes.subarray(0, at), Buffer.from([below(256)]), bytes.subarray(at + 1)],
    [bytes.subarray(0, at), bytes.subarray(end)],
    [bytes.subarray(0, end), bytes.subarray(at)],
    [bytes.subarray(0, at), tokens[below(tokens.length)] ?? bytes, bytes.subarray(at)],
    [bytes.subarray(0, at), (seeds[below(seeds.length)] ?? bytes).subarray(below(2_000))],
    [bytes.subarray(0, at), ...Array.from({ length: below(500) }, () => bytes.subarray(at, end)), bytes.subarray(at)],
  ][below(6)] ?? [bytes];
  return Buffer.concat(parts).subarray(0, 200_000);
}

let azurite: Azurite;
let container: ContainerClient;

beforeAll(async () => {
  azurite = await startAzurite();
  const { connectionString } = azurite;
  const storage = storageClients({ kind: 'connectionString', connectionString }, async () => {
    throw new Error('Azurite is opened by its connection string');
  });
  container = await storage.container(containerNames.assets);
});

afterAll(() => azurite?.stop());

async function tryMail(bytes: Buffer): Promise<void> {
  const source = { store: 'fuzz', scope: '', item: '1' };
  try {
    const { localId, sha256 } = await checkIn({ container, account: 'fuzz' }, { source, folder: 'fuzz' }, bytes, {
      signal: AbortSignal.timeout(hangMs),
      importedAt: 0,
      oversize: false,
      maxBytes: Number.POSITIVE_INFINITY,
      alone: true,
      mayReplace: async () => undefined,
      bounces: { find: async () => undefined },
    });
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    const paths = assetPaths('fuzz', `fuzz.${localId}`);
    const description = await container.getBlobClient(paths.description).downloadToBuffer();
    const asset = readDescription(description);
    expect(readSummary(description.subarray(0, maxSummaryBytes))?.id).toBe(asset.id);
    const body = (text: string | null) => (text === null ? undefined : { text, cut: false });
    const page = htmlPage(asset, { html: body(asset.html), text: body(asset.text) }, { remote: false });
    expect(page.html).not.toMatch(/<(?:script|iframe|object|form|base|link)/i);
  } catch (error) {
    if (!(error instanceof EmptyMailError)) throw error;
  }
}

it('no mutation of a mail stops a check-in', { timeout: 2 * runMs + hangMs }, async () => {
  const end = Date.now() + runMs;
  let round = 0;
  // Each seed has its turn on any machine.
  for (; round < seeds.length || Date.now() < end; round += 1) {
    let bytes: Buffer = seeds[round % seeds.length] ?? Buffer.alloc(0);
    for (let times = 1 + below(8); times > 0; times -= 1) bytes = mutated(bytes);
    await tryMail(bytes).catch((error: unknown) => {
      throw new Error(`round ${round} of seed ${seed}: ${bytes.toString('base64')}`, { cause: error });
    });
  }
  console.info(JSON.stringify({ mutations: round }));
});
