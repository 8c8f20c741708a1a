import { buffer } from 'node:stream/consumers';
import type { ContainerClient } from '@azure/storage-blob';
import type { Clock } from '../platform/clock.ts';
import { mapConcurrently } from '../platform/concurrency.ts';
import { firstOfAll } from '../platform/first-of-all.ts';
import { newestFirst, splitAccountId } from '../platform/ids.ts';
import { forEachAccount } from '../platform/isolated-jobs.ts';
import { Refusal } from '../platform/refusal.ts';
import { ignoreConflict, odataText, type Row, RowConflict, type Rows } from '../platform/rows.ts';
import { type Asset, assetIndexKey, assetPaths } from './asset.ts';
import { AssetBlobs, type Content, noSuchAsset } from './asset-blobs.ts';
import { leftoverRow } from './leftover-row.ts';
import type { AssetSummary } from './summary.ts';

/** Descriptions read at one time for a listing. */
const concurrentReads = 16;

/** How far an overwritten `importedAt` may be from the committed one, in ms. */
const overwrittenMs = 3_600_000;

/** A body of a mail, whole or cut. */
export interface Body {
  readonly text: string;
  readonly cut: boolean;
}

interface Options {
  readonly signal: AbortSignal;
}

/** Which assets are listed. */
export interface ListAssetsOptions extends Options {
  /** Imported at or after, and before; ms. */
  readonly since?: number;
  readonly until?: number;
  readonly top: number;
  /** Index key after which the listing goes on. */
  readonly after?: string;
}

/** An asset in a listing. */
export interface ListedAsset {
  /** Absent where it was removed a moment ago. */
  readonly asset: AssetSummary | undefined;
  /** Index key, to go on after. */
  readonly key: string;
}

/** Reads and removes what check-ins left behind. */
export class AssetLibrary {
  readonly #rows: Rows;
  readonly #blobs: AssetBlobs;

  constructor(rows: Rows, container: () => Promise<ContainerClient>) {
    this.#rows = rows;
    this.#blobs = new AssetBlobs(container);
  }

  /** Assets of these accounts together, newest first; `more`: there are others behind them. */
  async list(
    accounts: readonly string[],
    options: ListAssetsOptions,
  ): Promise<{ readonly page: readonly ListedAsset[]; readonly more: boolean }> {
    const top = options.top + 1;
    const wanted = { top, keyOf: ({ key }: { readonly key: string }) => key };
    const keys = await firstOfAll(accounts, wanted, async (account) => {
      const found: { account: string; key: string; localId: string }[] = [];
      for await (const row of this.#indexRows(account, { ...options, top })) {
        found.push({ account, key: row.key, localId: String(row.columns.asset) });
      }
      return found;
    });
    const page = keys.slice(0, options.top);
    const listed = await mapConcurrently(page, concurrentReads, async ({ account, key, localId }) => {
      return { asset: await this.#blobs.summary(account, `${account}.${localId}`, options.signal), key };
    });
    return { page: listed, more: keys.length > page.length };
  }

  #indexRows(account: string, { since, until, top, after, signal }: ListAssetsOptions) {
    // Newest first: what is before `until` comes after its key, what is not before `since` up to its key.
    const begin = until === undefined ? 'a:' : `a:${newestFirst(sortable(until - 1))}`;
    const from = after !== undefined && `${after}!` > begin ? `${after}!` : begin;
    const before = since === undefined ? 'a;' : `a:${newestFirst(sortable(since))};`;
    return this.#rows.range(account, from, before, { signal, top, select: ['asset'] });
  }

  /** An asset's description. Throws Refusal `notFound`. */
  async get(id: string, options: Options): Promise<Asset> {
    const parts = splitAccountId(id);
    const asset = parts && (await this.#blobs.describe(parts.account, id, options.signal));
    // The blobs of a check-in are there a moment before it is committed, or stay behind if it never is.
    if (!parts || !asset || !(await this.#indexRow(asset, parts.localId, options))) {
      throw noSuchAsset();
    }
    return asset;
  }

  /** The row that says that an asset is committed. */
  async #indexRow(asset: Asset, localId: string, { signal }: Options): Promise<Row | undefined> {
    const at = Date.parse(asset.importedAt);
    const row = await this.#rows.get(asset.account, assetIndexKey(at, localId), { signal });
    if (row) {
      return row;
    }
    // Earlier versions let a process that had been stopped overwrite the description of an asset, importedAt included.
    const [from, before] = [at + overwrittenMs, at - overwrittenMs].map((time) => `a:${newestFirst(sortable(time))}`);
    const filter = `asset eq ${odataText(localId)}`;
    for await (const near of this.#rows.range(asset.account, from ?? '', before ?? '', { signal, filter, top: 1 })) {
      return near;
    }
    return undefined;
  }

  /** The mail, byte for byte as it was fetched. Throws Refusal `notFound`. */
  async mime(id: string, options: Options): Promise<Content> {
    const asset = await this.get(id, options);
    return this.#blobs.content(asset.messagePath ?? assetPaths(asset.account, id).message, asset, options.signal);
  }

  /** An attachment, decoded; `n` from 1. Throws Refusal `notFound`. */
  async attachment(id: string, n: number, options: Options) {
    const asset = await this.get(id, options);
    const attachment = asset.attachments.find((each) => each.n === n);
    if (!attachment) {
      throw new Refusal('notFound', 'The asset has no such attachment.');
    }
    return { attachment, content: this.#blobs.content(attachment.path, attachment, options.signal) };
  }

  /**
   * A body of the mail, as far as it is kept and at most about `maxBytes` of it; undefined where it has none. `cut`: there
   * is more. Throws Refusal `notFound`.
   */
  async body(asset: Asset, kind: 'text' | 'html', maxBytes: number, { signal }: Options): Promise<Body | undefined> {
    const [inline, path] = kind === 'text' ? [asset.text, asset.textPath] : [asset.html, asset.htmlPath];
    if (path === undefined) {
      return inline === null ? undefined : { text: inline, cut: false };
    }
    const bytes = await buffer(await this.#blobs.open(path, 0, maxBytes + 1, signal));
    const cut = bytes.length > maxBytes;
    // A character may be cut in two: what is left of it goes.
    const text = new TextDecoder().decode(cut ? bytes.subarray(0, maxBytes) : bytes, { stream: cut });
    return { text, cut };
  }

  /** Removes an asset for good; the ledger keeps its mail from being imported again. Throws Refusal `notFound`. */
  async delete(id: string, options: Options): Promise<void> {
    const asset = await this.get(id, options);
    const { localId } = splitAccountId(id) ?? { localId: '' };
    const index = await this.#indexRow(asset, localId, options);
    if (index) {
      await this.#remove(asset.account, index.key, id, options.signal);
    }
  }

  /** Removes assets imported more than `days` ago, at most 2,000 of each account; the next call brings the rest. */
  async deleteOlderThan(accounts: readonly string[], days: number, clock: Clock, { signal }: Options): Promise<void> {
    const before = clock.now() - days * 86_400_000;
    const remove = async (account: string) => {
      const keys: string[] = [];
      for await (const row of this.#rows.range(account, `a:${newestFirst(before)};`, 'a;', { signal, top: 2_000 })) {
        keys.push(row.key);
      }
      for (const key of keys) {
        await this.#remove(account, key, `${account}.${key.slice(key.lastIndexOf(':') + 1)}`, signal);
      }
    };
    await forEachAccount(accounts, remove, { signal, task: 'deleteOldAssets' });
  }

  /**
   * Rows first: from then on the asset is gone for everybody, and row `y:` brings the removal of its blobs to its end,
   * should this process not. What is removed is only what was seen after that.
   */
  async #remove(account: string, indexKey: string, id: string, signal: AbortSignal): Promise<void> {
    const localId = id.slice(account.length + 1);
    const leftover = await this.#markDeleted(account, indexKey, localId, signal);
    if (leftover === undefined) {
      return;
    }
    await this.#blobs.remove(account, id, signal);
    await this.#rows.write(account, [{ kind: 'delete', key: leftover }]).catch(ignoreConflict);
  }

  /** Answers the key of the row that stands for the asset's blobs; undefined where the asset is deleted already. */
  async #markDeleted(
    account: string,
    indexKey: string,
    localId: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    for (;;) {
      const index = await this.#rows.get(account, indexKey, { signal });
      if (!index) {
        return undefined;
      }
      const ledger = String(index.columns.ledger);
      const leftover = leftoverRow(`deleted:${localId}`, [{ asset: localId, ledger }], 0);
      try {
        await this.#rows.write(account, [
          { kind: 'merge', key: ledger, columns: { state: 'deleted' } },
          { kind: 'delete', key: indexKey, etag: index.etag },
          leftover,
        ]);
        return leftover.key;
      } catch (error) {
        // Its mail may have got a new source id meanwhile, and another ledger row with it.
        if (!(error instanceof RowConflict)) {
          throw error;
        }
        const again = await this.#rows.get(account, indexKey, { signal });
        if (again?.etag === index.etag) {
          throw error;
        }
      }
    }
  }
}

/** Keys sort by time from 1970 on; nothing was imported before. */
function sortable(milliseconds: number): number {
  return Math.max(0, milliseconds);
}
