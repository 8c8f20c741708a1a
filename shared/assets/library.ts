import type { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import { HttpProblem } from '../http/problem.ts';
import type { Clock } from '../platform/clock.ts';
import { newestFirst, splitAccountId } from '../platform/ids.ts';
import { RowConflict, type RowTable } from '../platform/rows.ts';
import { storageStatus } from '../platform/storage.ts';
import { type Asset, assetIndexKey, assetPaths, assetSchema } from './asset.ts';

/** Descriptions read at once for a listing. */
const readsAtOnce = 16;

/** What a listing shows of an asset: all but its bodies. */
export type AssetSummary = Omit<Asset, 'text' | 'html'>;

export interface Content {
  readonly stream: Readable;
  readonly size: number;
}

interface Options {
  readonly signal: AbortSignal;
}

export interface ListAssetsOptions extends Options {
  /** Imported at or after, and before; ms. */
  readonly since?: number;
  readonly until?: number;
  readonly top: number;
  /** Index key after which the listing goes on. */
  readonly after?: string;
}

export interface ListedAsset {
  /** Absent where it was removed a moment ago. */
  readonly asset: AssetSummary | undefined;
  /** Index key, to go on after. */
  readonly key: string;
}

const notThere = () => new HttpProblem(404, 'There is no asset with this id.');

/** Reads and removes what check-ins left behind. */
export class AssetLibrary {
  readonly #rows: RowTable;
  readonly #container: () => Promise<ContainerClient>;

  constructor(rows: RowTable, container: () => Promise<ContainerClient>) {
    this.#rows = rows;
    this.#container = container;
  }

  /** Assets of these accounts together, newest first; `more`: there are others behind them. */
  async list(
    accounts: readonly string[],
    options: ListAssetsOptions,
  ): Promise<{ readonly page: readonly ListedAsset[]; readonly more: boolean }> {
    const keys: { account: string; key: string; rest: string }[] = [];
    for (const account of accounts) {
      for await (const row of this.#indexRows(account, { ...options, top: options.top + 1 })) {
        keys.push({ account, key: row.key, rest: String(row.columns.asset) });
      }
    }
    keys.sort((a, b) => (a.key < b.key ? -1 : 1));
    const page = keys.slice(0, options.top);
    const found = new Map<string, AssetSummary>();
    const left = [...page];
    const reader = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const asset = await this.#describe(next.account, `${next.account}.${next.rest}`, options.signal);
        if (asset) {
          const { text: _, html: __, ...summary } = asset;
          found.set(next.key, summary);
        }
      }
    };
    await Promise.all(Array.from({ length: readsAtOnce }, reader));
    return { page: page.map(({ key }) => ({ asset: found.get(key), key })), more: keys.length > page.length };
  }

  #indexRows(account: string, { since, until, top, after, signal }: ListAssetsOptions) {
    // Newest first: what is before `until` comes after its key, what is not before `since` up to its key.
    const begin = until === undefined ? 'a:' : `a:${newestFirst(sortable(until - 1))}`;
    const from = after !== undefined && `${after}!` > begin ? `${after}!` : begin;
    const before = since === undefined ? 'a;' : `a:${newestFirst(sortable(since))};`;
    return this.#rows.range(account, from, before, { signal, top, select: ['asset'] });
  }

  /** An asset's description. Throws HttpProblem 404. */
  async get(id: string, options: Options): Promise<Asset> {
    const parts = splitAccountId(id);
    const asset = parts && (await this.#describe(parts.account, id, options.signal));
    // The blobs of a check-in are there a moment before it is committed, or stay behind if it never is.
    if (!parts || !asset || !(await this.#rows.get(parts.account, indexKeyOf(asset, parts.rest), options))) {
      throw notThere();
    }
    return asset;
  }

  /** The mail, byte for byte as it was fetched. Throws HttpProblem 404. */
  async mime(id: string, options: Options): Promise<Content> {
    const asset = await this.get(id, options);
    return await this.#open(assetPaths(asset.account, id).message, options.signal);
  }

  /** An attachment, decoded; `n` from 1. Throws HttpProblem 404. */
  async attachment(id: string, n: number, options: Options) {
    const asset = await this.get(id, options);
    const attachment = asset.attachments.find((each) => each.n === n);
    if (!attachment) {
      throw new HttpProblem(404, 'The asset has no such attachment.');
    }
    return { attachment, content: await this.#open(attachment.path, options.signal) };
  }

  /** Removes an asset for good; the ledger keeps its mail from being imported again. Throws HttpProblem 404. */
  async delete(id: string, options: Options): Promise<void> {
    const asset = await this.get(id, options);
    const { rest } = splitAccountId(id) ?? { rest: '' };
    await this.#remove(asset.account, indexKeyOf(asset, rest), id, options.signal);
  }

  /** Removes assets imported more than `days` ago, at most 2,000 of each account; the next call brings the rest. */
  async deleteOlderThan(accounts: readonly string[], days: number, clock: Clock, { signal }: Options): Promise<void> {
    const before = clock.now() - days * 86_400_000;
    for (const account of accounts) {
      const keys: string[] = [];
      for await (const row of this.#rows.range(account, `a:${newestFirst(before)};`, 'a;', { signal, top: 2_000 })) {
        keys.push(row.key);
      }
      for (const key of keys) {
        await this.#remove(account, key, `${account}.${key.slice(key.lastIndexOf(':') + 1)}`, signal);
      }
    }
  }

  async #remove(account: string, indexKey: string, id: string, signal: AbortSignal): Promise<void> {
    const index = await this.#rows.get(account, indexKey, { signal });
    if (!index) {
      return;
    }
    const container = await this.#container();
    // Contents first: while the index row stands, a removal that was cut off can be done again.
    for await (const blob of container.listBlobsFlat({ prefix: assetPaths(account, id).folder, abortSignal: signal })) {
      if (!blob.name.endsWith('/asset.json')) {
        await container.deleteBlob(blob.name, { abortSignal: signal }).catch(ignoreMissing);
      }
    }
    try {
      await this.#rows.write(account, [
        { kind: 'merge', key: String(index.columns.ledger), columns: { state: 'deleted' } },
        { kind: 'delete', key: indexKey },
      ]);
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
    }
    await container.deleteBlob(assetPaths(account, id).description, { abortSignal: signal }).catch(ignoreMissing);
  }

  async #describe(account: string, id: string, signal: AbortSignal): Promise<Asset | undefined> {
    try {
      const blob = (await this.#container()).getBlobClient(assetPaths(account, id).description);
      return assetSchema.parse(
        JSON.parse((await blob.downloadToBuffer(0, undefined, { abortSignal: signal })).toString()),
      );
    } catch (error) {
      if (storageStatus(error) === 404) {
        return undefined;
      }
      throw error;
    }
  }

  async #open(path: string, signal: AbortSignal): Promise<Content> {
    try {
      const answer = await (await this.#container())
        .getBlobClient(path)
        .download(0, undefined, { abortSignal: signal });
      if (!answer.readableStreamBody) {
        throw new Error('Storage answered without a body');
      }
      return { stream: answer.readableStreamBody as Readable, size: answer.contentLength ?? 0 };
    } catch (error) {
      if (storageStatus(error) === 404) {
        throw notThere();
      }
      throw error;
    }
  }
}

/** Keys sort by time from 1970 on; nothing was imported before. */
function sortable(milliseconds: number): number {
  return Math.max(0, milliseconds);
}

function indexKeyOf(asset: Asset, rest: string): string {
  return assetIndexKey(Date.parse(asset.importedAt), rest);
}

function ignoreMissing(error: unknown): void {
  if (storageStatus(error) !== 404) {
    throw error;
  }
}
