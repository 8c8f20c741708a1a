import type { Pipeline } from './after-commit.ts';
import type { PageImport } from './page.ts';
import type { RoundContext } from './round-context.ts';

/**
 * Pages that are begun and not committed: those that wait for the session, whose contents are being checked in, or that are
 * being committed. A far server is asked for the contents of those that wait by one command.
 */
const maxPages = 12;

/** Bytes of mail that more than two pages may have together, where the server says how large each is. */
const maxSmallBytes = 12 << 20;

interface PageInLine {
  readonly page: PageImport;
  /** Resolves when it has left the line, and never rejects. */
  readonly left: Promise<unknown>;
}

/**
 * The pages of a folder that are in work at one time: a page is noted and fetched while those before it are written.
 * What has an order keeps it: contents are asked for page by page, no more than two pages hold contents at a time unless
 * they are small, and a page is committed, with its checkpoint, when all before it are. Where one fails, those behind it are
 * abandoned.
 */
export class PageLine {
  readonly #pipeline: Pipeline;
  readonly #time: Pick<RoundContext['time'], 'mayBegin' | 'mayQueue'>;
  readonly #pages: PageInLine[] = [];
  /** Pages that are being noted, and not yet fetched. */
  readonly #coming = new Set<PageImport>();
  /** The last page that was added is being fetched; with false where it, or one before it, is not. Never rejects. */
  #added: Promise<boolean> = Promise.resolve(true);
  /** The commit of the last page. */
  #last: Promise<void> = Promise.resolve();
  /** A page was not committed. */
  #broken = false;
  /** Why a page was not added. */
  #failure: { readonly error: unknown } | undefined;

  constructor({ pipeline, time }: Pick<RoundContext, 'pipeline' | 'time'>) {
    this.#pipeline = pipeline;
    this.#time = time;
  }

  /**
   * Resolves once the page is noted and being fetched; with false where there was no time left for that, or for one before
   * it, and it was abandoned. The next one may be added before that: it is noted meanwhile. `committed`: is called when
   * the page is. Throws the failure of a page before it, and what `PageImport.begin` throws.
   */
  add(page: PageImport, committed: () => void): Promise<boolean> {
    const before = this.#added;
    const added = this.#add(page, { before, committed });
    this.#added = added.catch((error: unknown) => {
      this.#failure ??= { error };
      return false;
    });
    return added;
  }

  async #add(
    page: PageImport,
    { before, committed }: { readonly before: Promise<boolean>; readonly committed: () => void },
  ): Promise<boolean> {
    const shares = this.#sharesMail(page);
    this.#coming.add(page);
    try {
      if (shares) {
        await before;
        await this.#last;
      }
      while (this.#pages.length + this.#coming.size > maxPages) await this.#pages[0]?.left;
      if (this.#hasFailed) await this.#last;
      const begun = page.begin();
      // Its failure is met below.
      begun.catch(() => undefined);
      const follows = await before;
      await begun;
      if (!follows || !(await this.#mayFetch(page))) {
        await page.abandon();
        if (this.#hasFailed) await this.#last;
        return false;
      }
    } finally {
      this.#coming.delete(page);
    }
    page.fetch(Promise.all(this.#pages.map((other) => other.page.handedOut())));
    this.#commitInTurn(page, committed);
    return true;
  }

  /** Waits until it is the page's turn to be fetched. False where there is no time for that, or one before it failed. */
  async #mayFetch(page: PageImport): Promise<boolean> {
    const before = this.#pages.map((other) => other.page);
    const queues = this.#time.mayQueue();
    await (queues ? before.at(-1)?.asked() : before.at(-1)?.handedOut());
    if (!queues || !areSmall([...before, page])) await Promise.all(before.slice(0, -1).map((other) => other.written()));
    return !this.#hasFailed && this.#time.mayBegin();
  }

  /** Whether a page in work has one of its mails: the ledger must know that one first. */
  #sharesMail(page: PageImport): boolean {
    const ids = new Set(page.ids);
    const inWork = [...this.#pages.map((other) => other.page), ...this.#coming];
    return inWork.some((other) => other.ids.some((id) => ids.has(id)));
  }

  /** A page before was not committed, or will not be: its commit throws why. */
  get #hasFailed(): boolean {
    return this.#broken || this.#pages.some(({ page }) => page.failed);
  }

  /** Resolves once all pages are committed. Throws the first failure, when nothing of any page is under way any more. */
  async drain(): Promise<void> {
    await this.#added;
    await this.#last;
    if (this.#failure) throw this.#failure.error;
  }

  #commitInTurn(page: PageImport, committed: () => void): void {
    const before = this.#last;
    const commit = async () => {
      try {
        await before;
      } catch (error) {
        await page.abandon();
        throw error;
      }
      const afterCommit = await page.commit();
      committed();
      await this.#pipeline.next(afterCommit);
    };
    this.#last = commit();
    const left = this.#last
      .catch(() => {
        this.#broken = true;
      })
      .then(() => this.#pages.splice(this.#pages.indexOf(entry), 1));
    const entry: PageInLine = { page, left };
    this.#pages.push(entry);
  }
}

/** Whether the contents of pages may all be held at one time. */
function areSmall(pages: readonly PageImport[]): boolean {
  return pages.reduce((sum, { bytes }) => sum + bytes, 0) <= maxSmallBytes;
}
