import { z } from 'zod';
import type { Checkpoint, ListedMail } from '../../adapters/store.ts';
import { type Columns, jsonColumns, jsonOf, type Row, type RowWrite } from '../../platform/rows.ts';
import { checkpointKey, prefixes } from '../keys.ts';
import type { ImportContext } from '../session/import-context.ts';
import type { QuietRow } from './quiet.ts';

const checkpointSchema = z.record(z.string(), z.union([z.string(), z.number()]));

interface SavedCheckpoint {
  readonly folder: string;
  readonly store: string;
  readonly checkpoint?: Checkpoint | undefined;
  /** When the connection was last lost at this folder, in ms; absent where nothing of the kind happened since. */
  readonly lostAt?: number | undefined;
  /** Which `since: "now"` the folder was begun with. */
  readonly since?: string | undefined;
  /** When the latest mail that was gone through came, by the server's clock, in ms. */
  readonly newestAt?: number | undefined;
  /** What the folder holds is being noted: for which `since: "now"`, and how many rows there are. */
  readonly noting?: string | undefined;
  readonly notedRows?: number | undefined;
}

/** What is being noted of a folder. */
export interface Noting {
  readonly since: string;
  readonly rows: number;
  readonly newestAt: number | undefined;
  readonly checkpoint: Checkpoint;
}

/** A row that saves a folder's checkpoint. */
export type CheckpointRow = Extract<RowWrite, { readonly kind: 'insert' | 'put' }>;

/** Where the next round over each folder begins. Read once a round, by one query for all folders. */
export class Checkpoints {
  readonly #context: Pick<ImportContext, 'inbox' | 'store'>;
  readonly #saved = new Map<string, SavedCheckpoint>();
  readonly #rows = new Map<string, Columns>();

  private constructor(context: Pick<ImportContext, 'inbox' | 'store'>, rows: readonly QuietRow[]) {
    this.#context = context;
    for (const row of rows) this.#keep(row);
  }

  /** As they are; `known`: as they are known to be. */
  static async read(
    context: Pick<ImportContext, 'inbox' | 'account' | 'signal' | 'store'>,
    known?: readonly QuietRow[],
  ): Promise<Checkpoints> {
    if (known) return new Checkpoints(context, known);
    const { inbox, account, signal } = context;
    const rows: Row[] = [];
    for await (const row of inbox.rows.prefix(account, prefixes.checkpoint, { signal })) rows.push(row);
    return new Checkpoints(context, rows);
  }

  /** As they stand in storage, of all stores and folders. */
  get rows(): readonly QuietRow[] {
    return [...this.#rows].map(([key, columns]) => ({ key, columns }));
  }

  /** Undefined for a full round. */
  of(folder: string): Checkpoint | undefined {
    const saved = this.#of(folder);
    return saved.noting === undefined ? saved.checkpoint : undefined;
  }

  /** Which `since: "now"` the folder was begun with; undefined where it was begun with none. */
  sinceOf(folder: string): string | undefined {
    return this.#of(folder).since;
  }

  /** When the latest mail came that was gone through at another store under the same `since: "now"`, in ms. */
  newestElsewhere(since: string): number | undefined {
    const times = [...this.#saved.values()]
      .filter((saved) => saved.since === since && saved.store !== this.#context.store.identity)
      .flatMap(({ newestAt }) => newestAt ?? []);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  /** The folders, those last at which the connection was lost last: one of them must not keep the others out. */
  troubledLast(folders: readonly string[]): readonly string[] {
    const lostAt = (folder: string) => this.#of(folder).lostAt ?? 0;
    return [...folders].sort((a, b) => lostAt(a) - lostAt(b));
  }

  /** Takes over what was saved by a row of this class, once it is written. */
  written(row: CheckpointRow): void {
    this.#keep(row);
  }

  #keep({ key, columns }: QuietRow): void {
    this.#rows.set(key, columns);
    this.#saved.set(key, savedOf(columns));
  }

  /** The row that notes that the connection was lost while the folder was gone through. */
  lostRow(folder: string): CheckpointRow {
    return this.#put({ ...this.#of(folder), lostAt: this.#context.inbox.clock.now() });
  }

  /** The row that saves a checkpoint, behind these mails. */
  row(folder: string, checkpoint: Checkpoint, mails: readonly ListedMail[]): CheckpointRow {
    const { lostAt: _, newestAt: before, ...saved } = this.#of(folder);
    const times = [before, ...mails.map(({ receivedAt }) => receivedAt)].filter((at) => at !== undefined);
    return this.#put({ ...saved, checkpoint, ...(times.length === 0 ? {} : { newestAt: Math.max(...times) }) });
  }

  /** The row that forgets a folder's checkpoint: the next round is a full one, against the ledger. */
  forgottenRow(folder: string): CheckpointRow {
    const { checkpoint: _, ...saved } = this.#of(folder);
    return this.#put(saved);
  }

  /** The row by which a folder is begun: its first round is a full one. */
  firstRow(folder: string, since: string): CheckpointRow {
    const { store } = this.#context;
    return this.#put({ folder, store: store.identity, since });
  }

  /** What was noted so far of what the folder holds. */
  noted(folder: string, since: string): Omit<Noting, 'checkpoint' | 'since'> & Partial<Pick<Noting, 'checkpoint'>> {
    const { noting, notedRows = 0, newestAt, checkpoint } = this.#of(folder);
    return noting === since && checkpoint
      ? { rows: notedRows, newestAt, checkpoint }
      : { rows: 0, newestAt: undefined };
  }

  /** The row of a folder that is noted in part. */
  notingRow(folder: string, { since, rows, newestAt, checkpoint }: Noting): CheckpointRow {
    const { store } = this.#context;
    return this.#put({ folder, store: store.identity, noting: since, notedRows: rows, newestAt, checkpoint });
  }

  #of(folder: string): SavedCheckpoint {
    const store = this.#context.store.identity;
    return { ...this.#saved.get(checkpointKey(store, folder)), folder, store };
  }

  #put(saved: SavedCheckpoint): CheckpointRow {
    const { checkpoint, ...columns } = saved;
    const key = checkpointKey(saved.store, saved.folder);
    const document = checkpoint ? jsonColumns(checkpoint) : {};
    return { kind: 'put', key, columns: { ...document, ...columns, savedAt: this.#context.inbox.clock.now() } };
  }
}

function savedOf(columns: Columns): SavedCheckpoint {
  const document = jsonOf({ columns });
  const text = (name: string) => {
    const value = columns[name];
    return typeof value === 'string' ? value : undefined;
  };
  const number = (name: string) => {
    const value = columns[name];
    return typeof value === 'number' ? value : undefined;
  };
  return {
    folder: text('folder') ?? '',
    store: text('store') ?? '',
    checkpoint: document === undefined ? undefined : checkpointSchema.parse(document),
    lostAt: number('lostAt'),
    since: text('since'),
    newestAt: number('newestAt'),
    noting: text('noting'),
    notedRows: number('notedRows'),
  };
}
