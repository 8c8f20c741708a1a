import type { ContainerClient } from '@azure/storage-blob';
import type { ListedMail } from '../../adapters/store.ts';
import { assetIndexKey, assetPaths } from '../../assets/asset.ts';
import { type LeftoverAsset, leftoverAssets, leftoverPrefix } from '../../assets/leftover-row.ts';
import { readDescription } from '../../assets/summary.ts';
import { mapConcurrently } from '../../platform/concurrency.ts';
import { accountId } from '../../platform/ids.ts';
import { errorText, log } from '../../platform/log.ts';
import { ignoreConflict } from '../../platform/rows.ts';
import { storageStatus } from '../../platform/storage.ts';
import type { InboxContext } from '../context.ts';
import { assetLocalId, prefixes } from '../keys.ts';
import type { ImportContext } from '../session/import-context.ts';
import { readLedger } from './ledger.ts';
import { begunAt, checkInProgress, interruptRows, mailsInProgress, zombieMs } from './pages-in-progress.ts';
import { quarantinePath } from './pending.ts';

/** Rows of pages looked at in one run of the timer at most, for each account. */
const batch = 500;

/** Accounts worked on at one time. */
const accountsAtOnce = 8;

interface Options {
  readonly signal: AbortSignal;
}

interface SeenBlob {
  readonly container: ContainerClient;
  readonly name: string;
  readonly etag: string;
}

/**
 * Removes what check-ins wrote that were never committed, by processes that ended or were stopped more than a day ago,
 * and what is left of deleted assets. Of an account that nobody imports any more too.
 */
export async function removeLeftovers(inbox: InboxContext, options: Options): Promise<void> {
  await mapConcurrently(await inbox.accountNames(options.signal), accountsAtOnce, async (account) => {
    try {
      await endForgottenPages(inbox, account, options);
      await removeOfAccount(inbox, account, options);
    } catch (error) {
      notRemoved(account, error, options.signal);
    }
  });
}

/** Pages of long ago that no later run has ended: whoever may still work on them cannot commit them any more. */
async function endForgottenPages(inbox: InboxContext, account: string, { signal }: Options): Promise<void> {
  const { rows, clock } = inbox;
  for await (const row of rows.prefix(account, prefixes.inProgress, { signal, top: batch })) {
    if (begunAt(row.key) + zombieMs > clock.now()) {
      continue;
    }
    try {
      // Their mails are listed again: the checkpoint stands before them, or they are pending still.
      await rows.write(account, interruptRows({ inbox, account }, row.key, mailsInProgress(row))).catch(ignoreConflict);
    } catch (error) {
      notRemoved(account, error, signal);
    }
  }
}

/** Logs it. The next hour tries again; one that nobody can judge must not keep the others. Throws where the time is over. */
function notRemoved(account: string, error: unknown, signal: AbortSignal): void {
  signal.throwIfAborted();
  log.warn('inbox.leftoversNotRemoved', { account, error: errorText(error) });
}

async function removeOfAccount(inbox: InboxContext, account: string, options: Options): Promise<void> {
  const { rows, clock } = inbox;
  for await (const row of rows.prefix(account, leftoverPrefix, options)) {
    const { from } = row.columns;
    if (typeof from === 'number' && from > clock.now()) {
      continue;
    }
    try {
      for (const asset of leftoverAssets(row)) {
        await removeUncommitted(inbox, account, asset, options);
      }
      await rows.write(account, [{ kind: 'delete', key: row.key }]).catch(ignoreConflict);
    } catch (error) {
      notRemoved(account, error, options.signal);
    }
  }
}

/**
 * Removes the blobs of a mail unless they are committed, or may be about to be. The order makes it safe, however slow
 * this process is: a commit that these reads do not see writes every blob again after them, and a blob that is not the
 * one that was listed is not removed.
 */
async function removeUncommitted(
  inbox: InboxContext,
  account: string,
  { asset, ledger }: LeftoverAsset,
  options: Options,
): Promise<void> {
  const { assets, quarantined } = await seenBlobs(inbox, account, asset, options);
  if (assets.length + quarantined.length === 0 || (await isInProgress(inbox, account, asset, options))) {
    // A page in progress has a row of its own.
    return;
  }
  const [entry] = await readLedger(inbox.rows, account, [ledger], options);
  const own = entry?.asset === asset ? entry : undefined;
  if (own?.state !== 'imported' && !(await isListed(inbox, account, asset, options))) {
    await remove(assets, options);
  }
  if (own?.state !== 'quarantined') {
    await remove(quarantined, options);
  }
}

/** Removes what a failed check-in wrote, unless another run has taken its page over. */
export async function removeFailed(context: ImportContext, mail: ListedMail, inProgress: string): Promise<void> {
  const { assets } = await seenBlobs(
    context.inbox,
    context.account,
    assetLocalId(context.account, mail.source),
    context,
  );
  if (assets.length > 0) {
    await checkInProgress(context, inProgress);
    await remove(assets, context);
  }
}

async function seenBlobs(inbox: InboxContext, account: string, localId: string, { signal }: Options) {
  const list = async (container: ContainerClient, prefix: string) => {
    const seen: SeenBlob[] = [];
    for await (const { name, properties } of container.listBlobsFlat({ prefix, abortSignal: signal })) {
      seen.push({ container, name, etag: properties.etag });
    }
    return seen;
  };
  return {
    assets: await list(await inbox.assets(), assetPaths(account, accountId(account, localId)).folder),
    quarantined: await list(await inbox.quarantine(), quarantinePath(account, localId)),
  };
}

async function isInProgress(
  { rows }: InboxContext,
  account: string,
  localId: string,
  options: Options,
): Promise<boolean> {
  for await (const row of rows.prefix(account, prefixes.inProgress, options)) {
    if (mailsInProgress(row).some(({ source }) => assetLocalId(account, source) === localId)) {
      return true;
    }
  }
  return false;
}

/** Whether the asset is listed: its ledger row may have gone to another source since. */
async function isListed(inbox: InboxContext, account: string, localId: string, { signal }: Options): Promise<boolean> {
  const { description } = assetPaths(account, accountId(account, localId));
  try {
    const bytes = await (await inbox.assets())
      .getBlobClient(description)
      .downloadToBuffer(0, undefined, { abortSignal: signal });
    const { importedAt } = readDescription(bytes);
    return (await inbox.rows.get(account, assetIndexKey(Date.parse(importedAt), localId), { signal })) !== undefined;
  } catch (error) {
    if (storageStatus(error) === 404) {
      return false;
    }
    throw error;
  }
}

async function remove(blobs: readonly SeenBlob[], { signal }: Options): Promise<void> {
  for (const { container, name, etag } of blobs) {
    await container.deleteBlob(name, { abortSignal: signal, conditions: { ifMatch: etag } }).catch((error: unknown) => {
      const status = storageStatus(error);
      // Gone, or written again by somebody whose row will name it.
      if (status !== 404 && status !== 412) {
        throw error;
      }
    });
  }
}
