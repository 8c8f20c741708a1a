import { randomUUID } from 'node:crypto';
import { TableClient, type TransactionAction } from '@azure/data-tables';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { type QueueClient, QueueServiceClient } from '@azure/storage-queue';
import { ImapFlow } from 'imapflow';
import { z } from 'zod';
import { serve } from './child.ts';

/**
 * What an import can cost at least: the sources fetched with imapflow, and the storage calls of the product made bare
 * with the SDKs (the same blobs, events and entity group transactions of the same sizes), with nothing parsed, decided
 * or remembered in between.
 */

/** Mails in one transaction, as the product commits them. */
const pageSize = 23;
/** Pages under way, and blob and queue calls under way: as many as make it fastest. */
const pagesAtOnce = 3;
const callsAtOnce = 16;

const mailboxSchema = z.object({
  user: z.string(),
  /** Per mail, in the order of UIDs: the size of its description and of its attachments. */
  mails: z.array(z.object({ description: z.int(), attachments: z.array(z.int()) })),
});
export const ceilingInputSchema = z.object({
  port: z.int(),
  password: z.string(),
  connectionString: z.string(),
  /** Gone through first, not measured: both programs are warm. */
  warmUp: mailboxSchema,
  measured: mailboxSchema,
});
export const ceilingResultSchema = z.object({ milliseconds: z.number(), mails: z.int() });

type CeilingInput = z.output<typeof ceilingInputSchema>;
type Mailbox = z.output<typeof mailboxSchema>;

class Limiter {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(limit: number) {
    this.#free = limit;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

interface Storage {
  readonly assets: ContainerClient;
  readonly events: QueueClient;
  readonly rows: TableClient;
}

async function openStorage(connectionString: string): Promise<Storage> {
  const assets = BlobServiceClient.fromConnectionString(connectionString).getContainerClient('bench-ceiling');
  const events = QueueServiceClient.fromConnectionString(connectionString).getQueueClient('bench-ceiling');
  const rows = TableClient.fromConnectionString(connectionString, 'benchceiling', { allowInsecureConnection: true });
  await assets.createIfNotExists();
  await events.createIfNotExists();
  await rows.createTable();
  return { assets, events, rows };
}

interface Fetched {
  readonly uid: number;
  readonly source: Buffer;
  readonly description: number;
  readonly attachments: readonly number[];
}

async function importMailbox(storage: Storage, input: CeilingInput, mailbox: Mailbox): Promise<void> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port: input.port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: mailbox.user, pass: input.password },
    logger: false,
  });
  await client.connect();
  try {
    await client.mailboxOpen('INBOX', { readOnly: true });
    const uids = await client.search({ all: true }, { uid: true });
    if (!uids || uids.length !== mailbox.mails.length) throw new Error('the mailbox does not hold the mails expected');
    const partition = `ceiling-${randomUUID()}`;
    const calls = new Limiter(callsAtOnce);
    const pages = new Set<Promise<void>>();
    const failures: unknown[] = [];
    for (let at = 0; at < uids.length && failures.length === 0; at += pageSize) {
      const fetched = await fetchPage(client, uids.slice(at, at + pageSize), mailbox, at);
      while (pages.size >= pagesAtOnce) await Promise.race(pages);
      const page: Promise<void> = storePage(storage, calls, partition, at, fetched)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => pages.delete(page));
      pages.add(page);
    }
    await Promise.all(pages);
    if (failures.length > 0) throw failures[0];
  } finally {
    await client.logout();
  }
}

async function fetchPage(client: ImapFlow, uids: readonly number[], mailbox: Mailbox, at: number): Promise<Fetched[]> {
  const found = await client.fetchAll(uids.join(','), { uid: true, source: true }, { uid: true });
  return found.map(({ uid, source }, index) => {
    const mail = mailbox.mails[at + index];
    if (!source || !mail) throw new Error('the server sent no source');
    return { uid, source, ...mail };
  });
}

async function storePage(
  storage: Storage,
  calls: Limiter,
  partition: string,
  at: number,
  mails: readonly Fetched[],
): Promise<void> {
  const { assets, rows } = storage;
  const key = (uid: number) => `l:${'0'.repeat(16)}:${String(uid).padStart(10, '0')}`;
  const first = key(mails[0]?.uid ?? 0);
  const last = key(mails.at(-1)?.uid ?? 0);
  const filter = `PartitionKey eq '${partition}' and RowKey ge '${first}' and RowKey lt '${last}~'`;
  for await (const page of rows.listEntities({ queryOptions: { filter } }).byPage({ maxPageSize: 1000 })) {
    if (page.length > 0) throw new Error('the mails are there already');
  }
  const noted = JSON.stringify(mails.map(({ uid }) => ({ uid, text: 'x'.repeat(180) })));
  await rows.upsertEntity({ partitionKey: partition, rowKey: `w:${at}`, json0: noted }, 'Replace');
  const put = (path: string, content: Buffer) =>
    calls.run(() => assets.getBlockBlobClient(path).upload(content, content.length));
  await Promise.all(
    mails.map(async ({ uid, source, description, attachments }) => {
      const folder = `${partition}/${uid}`;
      await Promise.all([
        put(`${folder}/message.eml`, source),
        ...attachments.map((size, n) => put(`${folder}/attachments/${n + 1}`, Buffer.alloc(size))),
      ]);
      await put(`${folder}/asset.json`, Buffer.alloc(description, 'x'));
    }),
  );
  await rows.submitTransaction(commitActions(partition, at, mails, key));
  const event = Buffer.alloc(420, 'x').toString('base64');
  await Promise.all(mails.map(() => calls.run(() => storage.events.sendMessage(event, { messageTimeToLive: -1 }))));
  await rows.submitTransaction([
    ...mails.map(
      ({ uid }): TransactionAction => [
        'update',
        { partitionKey: partition, rowKey: key(uid), todoEvent: false, todoDispose: false },
        'Merge',
      ],
    ),
    ['delete', { partitionKey: partition, rowKey: `u:${at}` }],
  ]);
}

/** Ledger, index and fingerprint rows of a page, its own rows and the checkpoint; values as long as the product's. */
function commitActions(
  partitionKey: string,
  at: number,
  mails: readonly Fetched[],
  key: (uid: number) => string,
): TransactionAction[] {
  const now = Date.now();
  const perMail = mails.flatMap(({ uid, source }): TransactionAction[] => {
    const tail = String(uid).padStart(10, '0');
    const size = source.length;
    const ledger = {
      ...{ partitionKey, rowKey: key(uid), store: 'imap:127.0.0.1:tester', scope: 'INBOX;1764000000', item: tail },
      ...{ folder: 'INBOX', asset: 'a'.repeat(32), state: 'imported', importedAt: now, receivedAt: now, size },
      ...{ listedSize: size, sha256: 'b'.repeat(64), messageId: '<bench-1000-abcdef@example.net>' },
      ...{ todoEvent: true, todoDispose: true },
    };
    const asset = { partitionKey, rowKey: `a:${'0'.repeat(9)}:${tail}`, asset: 'a'.repeat(32), ledger: key(uid) };
    const print = { partitionKey, rowKey: `f:${tail}`, scope: 'c'.repeat(16), size, sha256: 'b'.repeat(64) };
    return [
      ['create', ledger],
      ['upsert', asset, 'Replace'],
      ['upsert', print, 'Replace'],
    ];
  });
  const keys = mails.map(({ uid }) => key(uid)).join('\n');
  return [
    ...perMail,
    ['upsert', { partitionKey, rowKey: 'c:INBOX', json0: JSON.stringify({ lastUid: at }), savedAt: now }, 'Replace'],
    ['upsert', { partitionKey, rowKey: `u:${at}`, keys }, 'Replace'],
    ['delete', { partitionKey, rowKey: `w:${at}` }],
  ];
}

serve(import.meta, ceilingInputSchema, async (input): Promise<z.input<typeof ceilingResultSchema>> => {
  const storage = await openStorage(input.connectionString);
  await importMailbox(storage, input, input.warmUp);
  const started = performance.now();
  await importMailbox(storage, input, input.measured);
  return { milliseconds: performance.now() - started, mails: input.measured.mails.length };
});
