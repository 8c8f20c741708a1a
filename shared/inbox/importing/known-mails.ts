import type { ListedMail } from '../../adapters/store.ts';
import { LruMap } from '../../platform/lru-map.ts';
import { fingerprintPrefix, ledgerKeyBehind } from '../keys.ts';
import { type LedgerRow, readLedger } from '../ledger/ledger.ts';
import type { ImportContext } from '../session/import-context.ts';

/** Servers keep whole seconds, and round differently. */
const sameInstantMs = 2_000;

/** Of more rows than this under one Message-ID, or without one, is remembered what they say, and of so many ids. */
const sharedFrom = 20;
const maxPrefixes = 100;

/** Rows of one Message-ID, or without one, that are compared at most: some 25 MB. */
const maxShared = 100_000;

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
  /** Keys of ledger rows that are none of it. */
  readonly without: ReadonlySet<string>;
}

/** The mails that the ledger knows under ids which are no longer in use, for one run. */
export class KnownMails {
  readonly #context: ImportContext;
  readonly #orphans: ReadonlyMap<string, Orphan>;
  readonly #shared = new LruMap<string, readonly Fingerprint[]>({ max: maxPrefixes });

  /** `orphans`: by their keys, as `scopeKey` makes them. */
  constructor(context: ImportContext, orphans: ReadonlyMap<string, Orphan>) {
    this.#context = context;
    this.#orphans = orphans;
  }

  /** Those with the Message-ID of a listed mail, or without one as it is, which are as large and came at the same time. */
  async *like(mail: ListedMail, { sha256, without }: LikeOptions): AsyncGenerator<KnownMail> {
    const { inbox, account, signal } = this.#context;
    for (const known of await this.#fingerprints(fingerprintPrefix(mail.messageId))) {
      if (without.has(known.key) || !mayBe(known, mail, sha256)) continue;
      const [entry] = await readLedger(inbox.rows, account, [known.key], { signal });
      known.listedSize = entry?.listedSize;
      if (entry && sameSize(known, mail)) yield { orphan: known.orphan, entry };
    }
  }

  /** Where many mails share one, as those without a Message-ID do, they are read once: a mail more costs no reading then. */
  async #fingerprints(prefix: string): Promise<readonly Fingerprint[]> {
    const before = this.#shared.get(prefix);
    if (before) return before;
    const { inbox, account, signal } = this.#context;
    const found: Fingerprint[] = [];
    let read = 0;
    for await (const { key, columns } of inbox.rows.prefix(account, prefix, { signal })) {
      read += 1;
      const { scope, receivedAt, sha256 } = columns;
      const orphan = this.#orphans.get(String(scope));
      if (orphan) found.push({ key: ledgerKeyBehind(key, prefix), orphan, receivedAt, sha256 });
      if (found.length >= maxShared) break;
    }
    if (read > sharedFrom) this.#shared.set(prefix, found);
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
