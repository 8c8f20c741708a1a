import { z } from 'zod';
import type { Content } from '../../assets/asset-blobs.ts';
import { leftoverRow } from '../../assets/leftover-row.ts';
import { openBlob } from '../../platform/blob-range.ts';
import { toIso } from '../../platform/clock.ts';
import { firstOfAll } from '../../platform/first-of-all.ts';
import { accountId, splitAccountId } from '../../platform/ids.ts';
import { Refusal } from '../../platform/refusal.ts';
import { type Row, RowConflict, type RowWrite } from '../../platform/rows.ts';
import { storageStatus } from '../../platform/storage.ts';
import { instantSchema } from '../../platform/validation.ts';
import type { View } from '../../platform/view.ts';
import type { InboxContext } from '../context.ts';
import { endOf, prefixes, sourceText } from '../keys.ts';
import { type LedgerRow, ledgerRow, sourceOf } from '../ledger/ledger.ts';
import { maxAttempts, quarantinePath } from '../ledger/pending.ts';

interface Options {
  readonly signal: AbortSignal;
}

/** A mail that could not be checked in, as a listing shows it. */
export const quarantinedMailSchema = z
  .object({
    id: z.string().meta({ description: 'That of the asset it becomes, should it be checked in yet.' }),
    account: z.string(),
    folder: z.string(),
    quarantinedAt: instantSchema,
    reason: z.string(),
    attempts: z.int(),
    hasMime: z.boolean().meta({ description: 'Its bytes are kept: the server gave them.' }),
  })
  .meta({ id: 'QuarantinedMail', description: 'A mail that could not be checked in.' });
export type QuarantinedMail = View<typeof quarantinedMailSchema>;

/** The same with what the ledger knows. `size` and `sha256` are those of the bytes that are kept. */
export const quarantinedMailDetailsSchema = z.object({
  ...quarantinedMailSchema.shape,
  sourceId: z.string(),
  receivedAt: instantSchema.nullable(),
  size: z.int().nullable(),
  sha256: z.string().nullable(),
});
export type QuarantinedMailDetails = View<typeof quarantinedMailDetailsSchema>;

/** The rows of a quarantined mail, as they were read. */
export interface QuarantineRows {
  readonly account: string;
  readonly localId: string;
  readonly row: Row;
  readonly entry: LedgerRow;
  readonly entryEtag: string;
}

const notThere = () => new Refusal('notFound', 'There is no mail with this id in the quarantine.');

/** A mail whose quarantine is not published yet stays as it is, since the event names its state. Throws Refusal `conflict`. */
export function refuseUnpublished({ todoEvent }: LedgerRow): void {
  if (todoEvent) {
    throw new Refusal('conflict', 'It was quarantined a moment ago, and that is still being published; try again.');
  }
}

function viewOf(account: string, { key, columns }: Row): QuarantinedMail {
  const { folder, at, reason, hasMime, attempts } = columns;
  return {
    id: accountId(account, localIdOf(key)),
    account,
    folder: String(folder ?? ''),
    quarantinedAt: toIso(Number(at)),
    reason: String(reason ?? ''),
    // Rows of earlier versions say no number: every mail had as many.
    attempts: typeof attempts === 'number' ? attempts : maxAttempts,
    hasMime: hasMime === true,
  };
}

function localIdOf(key: string): string {
  return key.slice(key.lastIndexOf(':') + 1);
}

/** Reads and removes quarantined mail. What is said of an account is said of one that is deleted, too. */
export class QuarantinedMails {
  readonly #inbox: InboxContext;

  constructor(inbox: InboxContext) {
    this.#inbox = inbox;
  }

  /** Those of these accounts together, newest first, at most `top` and one more; each with its key, to go on after. */
  async list(
    accounts: readonly string[],
    { top, after, signal }: Options & { readonly top: number; readonly after?: string },
  ): Promise<readonly { readonly key: string; readonly mail: QuarantinedMail }[]> {
    const from = after === undefined ? prefixes.quarantine : `${after}!`;
    const read = { signal, top: top + 1 };
    return await firstOfAll(accounts, { top: top + 1, keyOf: ({ key }) => key }, async (account) => {
      const found: { readonly key: string; readonly mail: QuarantinedMail }[] = [];
      for await (const row of this.#inbox.rows.range(account, from, endOf(prefixes.quarantine), read))
        found.push({ key: row.key, mail: viewOf(account, row) });
      return found;
    });
  }

  /** Throws Refusal `notFound`. */
  async get(id: string, options: Options): Promise<QuarantinedMailDetails> {
    const { account, row, entry } = await this.find(id, options);
    const view = viewOf(account, row);
    return {
      ...view,
      sourceId: sourceText(sourceOf(entry)),
      receivedAt: entry.receivedAt === undefined ? null : toIso(entry.receivedAt),
      size: view.hasMime ? entry.size : null,
      sha256: view.hasMime ? entry.sha256 : null,
    };
  }

  /** The bytes of the mail, as the server gave them. Throws Refusal `notFound`, also where the server gave none. */
  async mime(id: string, options: Options): Promise<Content> {
    const { account, localId, row, entry } = await this.find(id, options);
    if (row.columns.hasMime !== true) {
      throw new Refusal('notFound', 'The server gave no bytes of this mail.');
    }
    const { size, sha256 } = entry;
    const open: Content['open'] = async (offset, count) => {
      const blob = (await this.#inbox.quarantine()).getBlobClient(quarantinePath(account, localId));
      const bytes = await openBlob(blob, { offset, count, signal: options.signal });
      if (!bytes) throw notThere();
      return bytes;
    };
    return { size, sha256, open };
  }

  /** Drops a mail for good: it is not imported again; its original stays. Throws Refusal `notFound`, `conflict`. */
  async delete(id: string, options: Options): Promise<void> {
    const found = await this.find(id, options);
    const { account, localId, entry, entryEtag } = found;
    refuseUnpublished(entry);
    const writes: RowWrite[] = [
      { kind: 'merge', key: entry.key, columns: { state: 'deleted' }, etag: entryEtag },
      ...this.leavingRows(found),
    ];
    try {
      await this.#inbox.rows.write(account, writes);
    } catch (error) {
      if (!(error instanceof RowConflict)) throw error;
      throw new Refusal('conflict', 'The mail changed a moment ago; look again.', { cause: error });
    }
    await this.removeMime(account, localId, options);
  }

  /** The mail's row leaves the quarantine; another row brings the removal of its bytes to its end, if nobody does. */
  leavingRows({ localId, row, entry }: QuarantineRows): RowWrite[] {
    return [
      { kind: 'delete', key: row.key, etag: row.etag },
      leftoverRow(`quarantined:${localId}`, [{ asset: localId, ledger: entry.key }], 0),
    ];
  }

  /** Removes the kept bytes. */
  async removeMime(account: string, localId: string, { signal }: Options): Promise<void> {
    const blob = (await this.#inbox.quarantine()).getBlobClient(quarantinePath(account, localId));
    await blob.delete({ abortSignal: signal }).catch((error: unknown) => {
      if (storageStatus(error) !== 404) throw error;
    });
  }

  /** The rows of a quarantined mail. Throws Refusal `notFound`. */
  async find(id: string, { signal }: Options): Promise<QuarantineRows> {
    const { account, localId } = splitAccountId(id) ?? {};
    if (account === undefined || localId === undefined) throw notThere();
    const { rows } = this.#inbox;
    for await (const row of rows.prefix(account, prefixes.quarantine, { signal })) {
      if (localIdOf(row.key) !== localId) continue;
      const ledger = await rows.get(account, String(row.columns.ledger), { signal });
      const entry = ledger && ledgerRow(ledger);
      if (!ledger || entry?.state !== 'quarantined' || entry.asset !== localId) break;
      return { account, localId, row, entry, entryEtag: ledger.etag };
    }
    throw notThere();
  }
}
