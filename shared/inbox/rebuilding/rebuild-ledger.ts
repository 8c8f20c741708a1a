import type { ContainerClient } from '@azure/storage-blob';
import { type Asset, assetIndexKey } from '../../assets/asset.ts';
import { AssetBlobs } from '../../assets/asset-blobs.ts';
import { BoundedTasks } from '../../platform/concurrency.ts';
import { ignoreConflict, RowConflict, type Rows, type RowWrite } from '../../platform/rows.ts';
import { companionRows } from '../importing/commit.ts';
import { keptMessageId, ledgerKey, scopeKey, scopeRowKey, singleKeys } from '../keys.ts';
import { type LedgerRow, ledgerColumns, ledgerRow } from '../ledger/ledger.ts';
import { sourceOfAsset } from './source-of-asset.ts';

/** Descriptions read at one time; each has at most some MiB. */
const readConcurrency = 16;

/** Where rows and descriptions are. */
export interface RebuildContext {
  readonly rows: Rows;
  readonly assets: () => Promise<ContainerClient>;
}

/** The result of rebuilding, in numbers of assets. */
export interface Rebuilt {
  /** Assets whose rows were missing, all or some. */
  readonly restored: number;
  /** Assets whose rows were there. */
  readonly known: number;
  /** Ids of assets that no row can be made of: their description is missing, or cannot be read. */
  readonly unreadable: readonly string[];
}

/**
 * Writes the ledger and the asset index of an account again, from the descriptions of its assets: only rows that are
 * missing, so that it can be done again, and beside rows that are there. What descriptions do not say is lost: mail
 * whose asset was deleted, mail in quarantine, and what was to be done with originals, which are left alone.
 */
export async function rebuildLedger(
  { rows, assets }: RebuildContext,
  account: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<Rebuilt> {
  const blobs = new AssetBlobs(assets);
  const unreadable: string[] = [];
  const scopes = new Set<string>();
  let restored = 0;
  let known = 0;
  const rebuild = async (id: string) => {
    const asset = await blobs.describe(account, id, signal).catch(ignoreUnreadable);
    const entry = asset?.id === id && asset.account === account ? entryOf(asset) : undefined;
    if (!entry) {
      unreadable.push(id);
      return;
    }
    const key = scopeKey(entry);
    if (!scopes.has(key)) {
      scopes.add(key);
      await writeScope(rows, account, entry);
    }
    if (await writeEntry(rows, account, entry, signal)) restored += 1;
    else known += 1;
  };
  const tasks = new BoundedTasks({ tasks: readConcurrency });
  try {
    const container = await assets();
    for await (const item of container.listBlobsByHierarchy('/', { prefix: `${account}/`, abortSignal: signal })) {
      if (item.kind !== 'prefix') continue;
      const id = item.name.slice(account.length + 1, -1);
      await tasks.start(() => rebuild(id));
    }
  } finally {
    await tasks.idle();
  }
  await tasks.finish();
  await endTurn(rows, account);
  return { restored, known, unreadable };
}

/** What is no JSON, or no asset, is nothing to go by; what storage throws is thrown. */
function ignoreUnreadable(error: unknown): undefined {
  if (error instanceof SyntaxError || (error instanceof Error && error.name === 'ZodError')) return undefined;
  throw error;
}

/** Defects of bytes that are in doubt: the original of such a mail is never deleted. */
const doubts = ['size-differs', 'message-id-differs', 'substitute'];

function entryOf(asset: Asset): LedgerRow | undefined {
  const localId = asset.id.slice(asset.account.length + 1);
  const source = sourceOfAsset(asset, localId);
  const importedAt = Date.parse(asset.importedAt);
  if (!source || Number.isNaN(importedAt)) return undefined;
  const keepOriginal = asset.flags.oversize || asset.defects.some((defect) => doubts.includes(defect));
  return {
    key: ledgerKey(source),
    ...source,
    folder: asset.folder,
    asset: localId,
    state: 'imported',
    importedAt,
    receivedAt: asset.receivedAt === null ? undefined : Date.parse(asset.receivedAt),
    size: asset.size,
    sha256: asset.sha256,
    messageId: keptMessageId(asset.messageId ?? undefined),
    ...(keepOriginal ? { keepOriginal } : {}),
    todoEvent: false,
    todoDispose: false,
  };
}

/** What a run has kept in mind of these rows is old: one under way writes no more, and the next one reads them. */
async function endTurn(rows: Rows, account: string): Promise<void> {
  const columns = { leaseOwner: 'rebuilding', leaseUntil: 0, quiet: '', works: false };
  await rows.write(account, [{ kind: 'merge', key: singleKeys.turn, columns }]).catch(ignoreConflict);
}

/** Mail that gets new source ids is compared with that of the scopes met before. */
async function writeScope(rows: Rows, account: string, entry: LedgerRow): Promise<void> {
  const { store, scope, folder, importedAt } = entry;
  const columns = { store, scope, folder, seenAt: importedAt };
  const key = scopeRowKey(scopeKey(entry));
  await rows.write(account, [{ kind: 'insert', key, columns }]).catch(ignoreConflict);
}

/** Answers whether anything was missing. */
async function writeEntry(rows: Rows, account: string, entry: LedgerRow, signal: AbortSignal): Promise<boolean> {
  const index: RowWrite = {
    kind: 'insert',
    key: assetIndexKey(entry.importedAt, entry.asset),
    columns: { asset: entry.asset, ledger: entry.key },
  };
  const ledger: RowWrite[] = [
    { kind: 'insert', key: entry.key, columns: ledgerColumns(entry) },
    ...companionRows(entry),
  ];
  if (await inserted(rows, account, [...ledger, index])) return true;
  const row = await rows.get(account, entry.key, { signal });
  // One that was deleted, or whose mail another row knows by now, is not brought back.
  if (row) return ledgerRow(row).state === 'imported' && (await inserted(rows, account, [index]));
  const there = await rows.get(account, index.key, { signal });
  // Its mail was met under another source id, whose ledger row is there.
  if (there && (await rows.get(account, String(there.columns.ledger), { signal }))) return false;
  return await inserted(rows, account, ledger);
}

async function inserted(rows: Rows, account: string, writes: readonly RowWrite[]): Promise<boolean> {
  try {
    await rows.write(account, writes);
    return true;
  } catch (error) {
    if (error instanceof RowConflict) return false;
    throw error;
  }
}
