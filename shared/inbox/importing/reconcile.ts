import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { type Checkpoint, type ListedMail, StoreError } from '../../adapters/store.ts';
import { assetIndexKey } from '../../assets/asset.ts';
import { RowConflict, type RowWrite } from '../../platform/rows.ts';
import { fingerprintKey, ledgerKey, reboundKey, scopeKey, scopeRowKey, tail } from '../keys.ts';
import type { Checkpoints } from '../ledger/checkpoints.ts';
import { type LedgerRow, ledgerColumns, readLedger } from '../ledger/ledger.ts';
import { checkInProgress, stillInProgress } from '../ledger/pages-in-progress.ts';
import type { QuietRow } from '../ledger/quiet.ts';
import { disposals } from '../originals/rule.ts';
import type { ImportContext } from '../session/import-context.ts';
import { companionRows } from './commit.ts';
import type { FolderFailures } from './folder-failures.ts';
import { KnownMails, type Orphan } from './known-mails.ts';

/** Unknown mail is compared with known mail for this long after the account's mails got new source ids. */
const compareMs = 30 * 24 * 3_600_000;

/**
 * Ledger rows that one mail is compared with at most: as large, as old and, where they are at hand, of the same bytes. More
 * than there are mails in work at one time, of which each takes another row.
 */
const maxCandidates = 100;

/** What a reconcile needs to know before its first page. */
export interface PrepareOptions {
  readonly checkpoints: Checkpoints;
  /** Folders that are out of reach: their mails are no orphans. */
  readonly failures: FolderFailures;
  /** The rows of scopes, as they are. */
  readonly known: readonly QuietRow[];
}

/**
 * Finds mail that is known under another source id: after a UIDVALIDITY change, when a POP3 server gives its mails new
 * UIDLs, or when the account points at another server with copies of the same mail (design section 5, "Reconcile").
 */
export class Reconciler {
  readonly #context: ImportContext;
  /** Scopes of the ledger that no folder of the account has now, or in which the server gave new ids. */
  readonly #orphans: ReadonlyMap<string, Orphan>;
  /** Ledger rows that took a mail in this run: each row absorbs one. */
  readonly #absorbed = new Set<string>();
  readonly #listed = new Map<string, Promise<ReadonlySet<string>>>();
  readonly #known: KnownMails;

  /** The rows of scopes, as they stand in storage now. */
  readonly scopes: readonly QuietRow[];

  private constructor(context: ImportContext, orphans: ReadonlyMap<string, Orphan>, scopes: readonly QuietRow[]) {
    this.#context = context;
    this.#orphans = orphans;
    this.#known = new KnownMails(context, orphans);
    this.scopes = scopes;
  }

  /** Notes the scopes that the account's folders have now, and compares them with those met before. */
  static async prepare(
    context: ImportContext,
    current: ReadonlyMap<string, string>,
    { checkpoints, failures, known }: PrepareOptions,
  ): Promise<Reconciler> {
    const { inbox } = context;
    const scopes: QuietRow[] = [];
    const now = inbox.clock.now();
    const orphans = new Map<string, Orphan>();
    const unseen = new Map(
      [...current].map(([folder, scope]) => [scopeKey({ store: context.store.identity, scope }), { folder, scope }]),
    );
    let newestScopeAt = 0;
    for (const row of known) {
      const key = tail(row.key);
      const { store, scope, folder, seenAt } = row.columns;
      const orphan = { store: String(store), scope: String(scope), folder: String(folder) };
      const seen = unseen.get(key);
      unseen.delete(key);
      let { columns } = row;
      if (seen) {
        const checkpoint = checkpoints.of(seen.folder);
        const newIdsAt = await idsGivenAnew(context, { ...seen, checkpoint }, row.columns.newIdsAt);
        if (newIdsAt !== undefined && newIdsAt !== row.columns.newIdsAt) {
          await context.fence.write([{ kind: 'merge', key: row.key, columns: { newIdsAt } }]);
          columns = { ...columns, newIdsAt };
        }
        newestScopeAt = Math.max(newestScopeAt, typeof seenAt === 'number' ? seenAt : 0, newIdsAt ?? 0);
        if (newIdsAt !== undefined && newIdsAt + compareMs > now) {
          orphans.set(key, orphan);
        }
      } else if (!failures.mayBeThere(orphan.folder)) {
        orphans.set(key, orphan);
      }
      scopes.push({ key: row.key, columns });
    }
    for (const [key, { folder, scope }] of unseen) {
      newestScopeAt = now;
      const columns = { store: context.store.identity, scope, folder, seenAt: now };
      await context.fence.write([{ kind: 'put', key: scopeRowKey(key), columns }]);
      scopes.push({ key: scopeRowKey(key), columns });
    }
    return new Reconciler(context, newestScopeAt + compareMs > now ? orphans : new Map(), scopes);
  }

  /** Whether unknown mail may be known under another id: then a listing must give Message-IDs. */
  get active(): boolean {
    return this.#orphans.size > 0;
  }

  /**
   * Lists the folders that `candidates` looks at, before contents are asked for: a large mail may hold the session until it is read, and its
   * reader, or that of a mail before it, would wait for a listing that waits for the session. Throws StoreError.
   */
  async listFor(mails: readonly ListedMail[]): Promise<void> {
    const here = [...this.#orphans.values()].filter((orphan) => this.#isHere(orphan));
    for (const mail of mails) {
      if (here.every(({ folder }) => this.#listed.has(folder))) return;
      if (!this.#isCompared(mail)) continue;
      for (const orphan of await this.#known.orphansOf(mail)) if (this.#isHere(orphan)) await this.#items(orphan);
    }
  }

  /** Mails rebound so far: their originals are to be disposed of again. */
  get rebound(): number {
    return this.#absorbed.size;
  }

  /**
   * The ledger rows that this unknown mail may be; what is left to decide is whether the bytes are the same. `ambiguous`:
   * rows that know its id with another or with no content, and that no listed mail has. `sha256`: of its bytes, where they
   * are at hand and decide.
   */
  async candidates(mail: ListedMail, ambiguous: readonly LedgerRow[], sha256?: string): Promise<LedgerRow[]> {
    const found = ambiguous.filter((row) => !this.#absorbed.has(row.key));
    if (!this.#isCompared(mail)) {
      return found;
    }
    for await (const { orphan, entry } of this.#known.like(mail, { sha256, without: this.#absorbed })) {
      if (!(await this.#stillListed(orphan, entry))) found.push(entry);
      if (found.length >= maxCandidates) break;
    }
    return found;
  }

  /** Without an id the bytes alone can tell. */
  #isCompared({ messageId }: ListedMail): boolean {
    return this.active && (messageId !== undefined || this.#context.store.abilities.stableBytes);
  }

  #isHere({ store }: Orphan): boolean {
    return store === this.#context.store.identity;
  }

  /** A row whose own mail can still be seen in the account's mailbox belongs to that mail. */
  async #stillListed(orphan: Orphan, entry: LedgerRow): Promise<boolean> {
    return this.#isHere(orphan) && (await this.#items(orphan)).has(`${entry.scope}\n${entry.item}`);
  }

  #items(orphan: Orphan): Promise<ReadonlySet<string>> {
    let items = this.#listed.get(orphan.folder);
    if (!items) {
      items = this.#list(orphan);
      this.#listed.set(orphan.folder, items);
    }
    return items;
  }

  async #list({ folder }: Orphan): Promise<ReadonlySet<string>> {
    const items = new Set<string>();
    try {
      for await (const page of this.#context.session.list(folder, { signal: this.#context.signal, pageSize: 500 })) {
        for (const { source } of page) {
          items.add(`${source.scope}\n${source.item}`);
        }
      }
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === 'folderMissing')) {
        throw error;
      }
    }
    return items;
  }

  /**
   * Gives a ledger row its mail's new source id; false where the row was taken meanwhile. `inProgress`: the page that the mail
   * belongs to, which must not have been taken over.
   */
  async rebind(row: LedgerRow, mail: ListedMail, inProgress: string): Promise<boolean> {
    const { inbox, account, stored, store } = this.#context;
    this.#absorbed.add(row.key);
    const { source } = mail;
    const rebound: LedgerRow = {
      ...row,
      key: ledgerKey(source),
      store: source.store,
      scope: source.scope,
      item: source.item,
      folder: mail.folder,
      listedSize: mail.size,
      receivedAt: mail.receivedAt ?? row.receivedAt,
      // The original is in the mailbox, whatever was done under its old id: the account's rule holds for it again.
      disposed: undefined,
      disposing: false,
      copiedTo: row.store === source.store ? row.copiedTo : undefined,
      todoDispose: disposals(stored.account, store.abilities, row.keepOriginal === true).length > 0,
    };
    const unfinished = reboundKey(this.#context.runId, rebound.key);
    // A due row of the old id stays behind; the retention finds no ledger row for it and drops it.
    const old: RowWrite[] = [
      { kind: 'delete', key: row.key },
      { kind: 'delete', key: fingerprintKey(row.messageId, row.key) },
    ];
    const fresh: RowWrite[] = [
      { kind: 'insert', key: rebound.key, columns: ledgerColumns(rebound) },
      ...companionRows(rebound),
      ...(row.state === 'imported'
        ? [{ kind: 'merge' as const, key: assetIndexKey(row.importedAt, row.asset), columns: { ledger: rebound.key } }]
        : []),
      { kind: 'put', key: unfinished, columns: { keys: rebound.key } },
    ];
    try {
      await inbox.rows.write(account, [...old, ...fresh, stillInProgress(inProgress)]);
      return true;
    } catch (error) {
      if (error instanceof RowConflict) {
        await checkInProgress(this.#context, inProgress);
        const there = await inbox.rows.get(account, rebound.key);
        return there !== undefined;
      }
      throw error;
    }
  }
}

/** Rows of a sample that must have gone without a reason before new ids are suspected: half of it. */
const suspiciousShare = 0.5;

/**
 * When a folder's ids were last seen to have changed: now, where mails that the ledger believes to be there are no
 * longer listed. Another client may have deleted them: then unknown mail is merely compared for nothing.
 */
async function idsGivenAnew(
  context: ImportContext,
  { folder, checkpoint }: { readonly folder: string; readonly checkpoint: Checkpoint | undefined },
  before: unknown,
): Promise<number | undefined> {
  const { inbox, account, session, signal } = context;
  const known = typeof before === 'number' ? before : undefined;
  if (!session.vanished || !checkpoint) {
    return known;
  }
  const { sampled, missing } = await session.vanished(folder, checkpoint, signal);
  if (missing.length === 0 || missing.length < sampled * suspiciousShare) {
    return known;
  }
  const rows = await readLedger(inbox.rows, account, missing.map(ledgerKey), { signal });
  // What this service has deleted, or is about to, is missing for a good reason.
  const unexplained = rows.filter((row) => !row.todoDispose && [undefined, 'canceled'].includes(row.disposed));
  return unexplained.length > 0 && unexplained.length >= sampled * suspiciousShare ? inbox.clock.now() : known;
}

/** SHA-256 of a mail's bytes, read to the end and kept nowhere. */
export async function hashOf(content: Buffer | Readable): Promise<string> {
  const hash = createHash('sha256');
  if (Buffer.isBuffer(content)) {
    return hash.update(content).digest('hex');
  }
  for await (const chunk of content as AsyncIterable<Buffer>) {
    hash.update(chunk);
  }
  return hash.digest('hex');
}
