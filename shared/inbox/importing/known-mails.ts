import type { ListedMail } from '../../adapters/store.ts';
import { LruMap } from '../../platform/lru-map.ts';
import { fingerprintPrefix, ledgerKeyBehind } from '../keys.ts';
import { type LedgerRow, readLedger } from '../ledger/ledger.ts';
import type { ImportContext } from '../session/import-context.ts';

/** Servers keep whole seconds, and round differently. */
const sameInstantMs = 2_000;

/** What more rows than this say under one Message-ID, or without one, is kept for the other mails of the run. */
const keptFrom = 20;

/** Message-IDs of which that is kept. */
const maxKept = 4;

/** Rows of one Message-ID, or without one, that are compared at most: some 25 MB. */
const maxRows = 100_000;

/** Ledger rows that are read at one time. */
const readAtOnce = 20;

/** A scope of the ledger that no folder of the account has now, or in which the server gave new ids. */
export interface Orphan {
  readonly store: string;
  readonly scope: string;
  readonly folder: string;
}

/** What a fingerprint row says of a mail. */
interface Fingerprint {
  /** Of its ledger row. */
  readonly key: string;
  readonly orphan: Orphan;
  readonly receivedAt: unknown;
  readonly sha256: unknown;
  /** What its ledger row says, once it was read. */
  listedSize?: number | undefined;
}

/** A known mail, by its ledger row. */
export interface KnownMail {
  readonly orphan: Orphan;
  readonly entry: LedgerRow;
}

/** What narrows a search. */
export interface LikeOptions {
  /** Of the mail's bytes, where they are at hand and decide. */
  readonly sha256?: string | undefined;
  /** Keys of ledger rows to leave out: other mails have taken them. */
  readonly without: ReadonlySet<string>;
}

/** The mails that the ledger knows under ids which are no longer in use, for one run. */
export class KnownMails {
  readonly #context: ImportContext;
  readonly #orphans: ReadonlyMap<string, Orphan>;
  /** By their prefixes: those that are being read, and those of many mails. */
  readonly #reading = new Map<string, Promise<readonly Fingerprint[]>>();
  readonly #kept = new LruMap<string, readonly Fingerprint[]>({ max: maxKept });

  /** `orphans`: by their keys, as `scopeKey` makes them. */
  constructor(context: ImportContext, orphans: ReadonlyMap<string, Orphan>) {
    this.#context = context;
    this.#orphans = orphans;
  }

  /** Where mails that may be a listed one were met, by what is known without their ledger rows. */
  async orphansOf(mail: ListedMail): Promise<ReadonlySet<Orphan>> {
    const found = await this.#fingerprints(fingerprintPrefix(mail.messageId));
    return new Set(found.filter((known) => mayBe(known, mail, undefined)).map(({ orphan }) => orphan));
  }

  /**
   * Known mails that have the Message-ID of a listed one, or none as it has none. Their size, time and bytes are the same, as
   * far as both are known.
   */
  async *like(mail: ListedMail, { sha256, without }: LikeOptions): AsyncGenerator<KnownMail> {
    const { inbox, account, signal } = this.#context;
    const all = await this.#fingerprints(fingerprintPrefix(mail.messageId));
    const left = all.filter((known) => !without.has(known.key) && mayBe(known, mail, sha256));
    for (let at = 0; at < left.length; at += readAtOnce) {
      const some = left.slice(at, at + readAtOnce);
      const keys = some.map(({ key }) => key);
      const rows = await readLedger(inbox.rows, account, keys, { signal });
      const entries = new Map(rows.map((entry) => [entry.key, entry]));
      for (const known of some) {
        const entry = entries.get(known.key);
        known.listedSize = entry?.listedSize;
        // Another mail may have taken it meanwhile.
        if (entry && !without.has(known.key) && sameSize(known, mail)) yield { orphan: known.orphan, entry };
      }
    }
  }

  /** Where many mails share one, as those without a Message-ID do, they are read once a run. */
  async #fingerprints(prefix: string): Promise<readonly Fingerprint[]> {
    const kept = this.#kept.get(prefix);
    if (kept) return kept;
    const begun = this.#reading.get(prefix);
    if (begun) return await begun;
    const reading = this.#read(prefix);
    this.#reading.set(prefix, reading);
    try {
      return await reading;
    } finally {
      this.#reading.delete(prefix);
    }
  }

  async #read(prefix: string): Promise<readonly Fingerprint[]> {
    const { inbox, account, signal } = this.#context;
    const found: Fingerprint[] = [];
    let read = 0;
    for await (const { key, columns } of inbox.rows.prefix(account, prefix, { signal })) {
      read += 1;
      const { scope, receivedAt, sha256 } = columns;
      const orphan = this.#orphans.get(String(scope));
      if (orphan) found.push({ key: ledgerKeyBehind(key, prefix), orphan, receivedAt, sha256 });
      if (found.length >= maxRows) break;
    }
    if (read > keptFrom) this.#kept.set(prefix, found);
    return found;
  }
}

/** Whether a known mail may be a listed one, by what is known of it so far. */
function mayBe(known: Fingerprint, mail: ListedMail, sha256: string | undefined): boolean {
  const sameBytes = sha256 === undefined || typeof known.sha256 !== 'string' || known.sha256 === sha256;
  return sameBytes && sameInstant(known.receivedAt, mail.receivedAt) && sameSize(known, mail);
}

const sameSize = ({ listedSize }: Fingerprint, { size }: ListedMail) =>
  size === undefined || listedSize === undefined || size === listedSize;

function sameInstant(known: unknown, met: number | undefined): boolean {
  return typeof known !== 'number' || met === undefined || Math.abs(known - met) <= sameInstantMs;
}
