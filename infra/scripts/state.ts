import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { TableClient } from '@azure/data-tables';
import type { ContainerClient } from '@azure/storage-blob';
import { AccountSummaries } from '../../shared/accounts/account-summaries.ts';
import { accountsPartition, summariesPartition } from '../../shared/accounts/keys.ts';
import { singleKeys } from '../../shared/inbox/keys.ts';
import { rebuildLedger } from '../../shared/inbox/rebuilding/rebuild-ledger.ts';
import { openPartition } from '../../shared/outbox/keys.ts';
import { openStatuses } from '../../shared/outbox/record.ts';
import { systemClock } from '../../shared/platform/clock.ts';
import { accountNamed, newestFirst } from '../../shared/platform/ids.ts';
import { RowTable } from '../../shared/platform/rows.ts';
import { containerNames, tableNames } from '../../shared/platform/storage.ts';
import { newPrefix } from '../../shared/stats/count-rows.ts';
import { type BackupRow, exportTable, propertyOf, restoreTable } from './table-backup.ts';

const usage = `Backs up the tables of Mailroom, restores them, and rebuilds a ledger. See docs/operations.md.

  npm run state -- export  --account STORAGE --folder FOLDER
  npm run state -- restore --account STORAGE --folder FOLDER [--dry-run] [--open-messages]
  npm run state -- rebuild-ledger NAME --account STORAGE

  NAME             an account of Mailroom, whose ledger and asset index are lost
  --account        the storage account of the mail: MAILROOM_STORAGE_NAME of the deployment
  --folder         export: a new one; restore: that of an export
  --suffix         of the cloud's storage, default core.windows.net
  --dry-run        says what would be restored, and writes nothing
  --open-messages  also restores messages that were not sent yet when the backup was made: they are sent (again)

Signs in as the Azure CLI is; that identity needs Storage Table Data Contributor, for export Reader is enough;
to rebuild a ledger Storage Blob Data Reader as well.`;

/** Of mail that is not through: its record, its row of open messages, and the note that its account has any. */
const isOpen = (row: BackupRow): boolean =>
  row.partitionKey === openPartition ||
  row.rowKey.startsWith('o:') ||
  (row.rowKey.startsWith('m:') && openStatuses.some((open) => open === propertyOf(row, 'status')));

/**
 * Who works on an account at the moment, and by which connections: a lease of the past would keep everybody out until it lapses. And counts that are
 * not added up yet: put back beside totals that have them, they would count twice. Summaries are made of the other rows.
 */
const isMomentary = ({ partitionKey, rowKey }: BackupRow): boolean =>
  partitionKey === summariesPartition ||
  momentaryKeys.has(rowKey) ||
  rowKey.startsWith('k:') ||
  rowKey.startsWith(newPrefix);

/** `lease` and `again` are of versions before `turn` said all of it. */
const momentaryKeys: ReadonlySet<string> = new Set([singleKeys.turn, 'lease', 'again']);

export interface StateOptions {
  readonly folder: string;
  readonly table: (name: string) => TableClient;
  readonly say: (line: string) => void;
}

/** Older than any commit that may be under way: what is read of it is whole. */
const settledMs = 10 * 60_000;

/**
 * A mail's ledger row and its row in the asset index are written together and read apart. Mail imported since `before`
 * therefore has neither in the backup, and no checkpoint is in it, which might have passed that mail: the first import
 * after a restore looks at every mail, and the ledger knows which are new.
 */
function isWhole(row: BackupRow, before: number): boolean {
  const { rowKey } = row;
  // The turn repeats checkpoints.
  if (rowKey.startsWith('c:') || rowKey === singleKeys.turn) return false;
  if (rowKey.startsWith('l:')) return Number(propertyOf(row, 'importedAt')) < before;
  return !rowKey.startsWith('a:') || rowKey >= `a:${newestFirst(before)}`;
}

/** What is kept: limits are leases of some seconds, and mean nothing in a backup. */
const keptTables = Object.values(tableNames).filter((name) => name !== tableNames.limits);

/** Writes the tables of Mailroom, as they were at `before`, to a folder that is made for it. */
export async function exportState({ folder, table, say }: StateOptions, before: number): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  for (const name of keptTables) {
    const wanted = (row: BackupRow) => name !== tableNames.inbox || isWhole(row, before);
    say(`${name}: ${await exportTable(table(name), join(folder, `${name}.ndjson`), wanted)} rows`);
  }
}

/**
 * Inserts what is missing in the tables. Messages that were open are left out: nobody knows here which of them have been
 * sent since, and whatever is open is sent.
 */
export async function restoreState(
  { folder, table, say }: StateOptions,
  options: { readonly dryRun: boolean; readonly openMessages: boolean },
): Promise<void> {
  for (const name of keptTables) {
    const file = join(folder, `${name}.ndjson`);
    // A backup of an earlier version has fewer tables.
    if (!existsSync(file)) {
      say(`${name}: not in this backup`);
      continue;
    }
    const outbox = name === tableNames.outbox;
    const wanted = (row: BackupRow) => !isMomentary(row) && !(outbox && !options.openMessages && isOpen(row));
    if (!options.dryRun) await table(name).createTable();
    const { inserted, kept, leftOut } = await restoreTable(table(name), file, {
      wanted,
      dryRun: options.dryRun,
    });
    say(`${name}: ${inserted} rows ${options.dryRun ? 'to insert at most' : 'inserted'}, ${kept} there already`);
    for (const row of leftOut.filter(({ rowKey }) => rowKey.startsWith('m:'))) {
      say(
        `  left out, ${String(propertyOf(row, 'status'))} when the backup was made: ${row.partitionKey}.${row.rowKey.slice(2)}`,
      );
    }
  }
  if (!options.dryRun) await doubtSummaries(table(tableNames.accounts));
}

/** Has the app read every account anew: without a summary, one that was added just before would seem to have done nothing. */
async function doubtSummaries(accounts: TableClient): Promise<void> {
  const rows = new RowTable(async () => accounts);
  const names: string[] = [];
  for await (const { key } of rows.prefix(accountsPartition, '', { select: [] })) names.push(key);
  await new AccountSummaries(rows, systemClock).note(names);
}

/** Restores the ledger and the asset index of an account of Mailroom from the descriptions of its assets. */
export async function rebuildState(
  { table, assets, say }: Pick<StateOptions, 'table' | 'say'> & { readonly assets: ContainerClient },
  account: string,
): Promise<void> {
  const inbox = table(tableNames.inbox);
  await inbox.createTable();
  const context = { rows: new RowTable(async () => inbox), assets: async () => assets };
  const { restored, known, unreadable } = await rebuildLedger(context, account, {
    signal: new AbortController().signal,
  });
  say(`${account}: rows of ${restored} assets restored, of ${known} there already`);
  for (const id of unreadable) say(`  no row can be made of ${id}: its asset.json is missing or not readable`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      account: { type: 'string' },
      folder: { type: 'string' },
      suffix: { type: 'string', default: 'core.windows.net' },
      'dry-run': { type: 'boolean', default: false },
      'open-messages': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const { account, folder, suffix } = values;
  const [command, name, ...others] = positionals;
  const rebuilt = command === 'rebuild-ledger' && name !== undefined && accountNamed(name) === name ? name : undefined;
  const copies = (command === 'export' || command === 'restore') && name === undefined && folder !== undefined;
  if (values.help || !account || others.length > 0 || (rebuilt === undefined && !copies)) {
    console.log(usage);
    process.exitCode = values.help ? 0 : 1;
    return;
  }
  const { TableClient } = await import('@azure/data-tables');
  const { AzureCliCredential } = await import('@azure/identity');
  const credential = new AzureCliCredential();
  const table = (of: string) => new TableClient(`https://${account}.table.${suffix}`, of, credential);
  const say = (line: string) => console.log(line);
  if (rebuilt !== undefined) {
    const { BlobServiceClient } = await import('@azure/storage-blob');
    const blobs = new BlobServiceClient(`https://${account}.blob.${suffix}`, credential);
    await rebuildState({ table, say, assets: blobs.getContainerClient(containerNames.assets) }, rebuilt);
    return;
  }
  const state = { folder: folder ?? '', table, say };
  if (command === 'export') await exportState(state, Date.now() - settledMs);
  else await restoreState(state, { dryRun: values['dry-run'], openMessages: values['open-messages'] });
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
