import type { Pipeline } from './after-commit.ts';
import type { PageImport } from './page.ts';
import type { RoundContext } from './round-context.ts';

/**
 * Pages that are begun and not committed: one that is being committed, one whose contents are being checked in, and one
 * that waits for the session.
 */
const maxPages = 3;

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
  /** The commit of the last page. */
  #last: Promise<void> = Promise.resolve();
  /** A page was not committed. */
  #broken = false;

  constructor({ pipeline, time }: Pick<RoundContext, 'pipeline' | 'time'>) {
    this.#pipeline = pipeline;
    this.#time = time;
  }

  /**
   * Resolves once the page is noted and being fetched; with false where there was no time left for that, and it was
   * abandoned. `committed`: is called when it is. Throws the failure of a page before it, and what `PageImport.begin` throws.
   */
  async add(page: PageImport, committed: () => void): Promise<boolean> {
    const ids = new Set(page.ids);
    if (this.#pages.some((other) => other.page.ids.some((id) => ids.has(id)))) await this.drain();
    while (this.#pages.length >= maxPages) await this.#pages[0]?.left;
    if (this.#hasFailed) await this.drain();
    await page.begin();
    const before = this.#pages.map((other) => other.page);
    const queues = this.#time.mayQueue();
    await (queues ? before.at(-1)?.asked() : before.at(-1)?.handedOut());
    if (!queues || !areSmall([...before, page])) await before.at(-2)?.written();
    if (this.#hasFailed || !this.#time.mayBegin()) {
      await page.abandon();
      if (this.#hasFailed) await this.drain();
      return false;
    }
    page.fetch(Promise.all(before.map((other) => other.handedOut())));
    this.#commitInTurn(page, committed);
    return true;
  }

  /** A page before was not committed, or will not be: `drain` throws why. */
  get #hasFailed(): boolean {
    return this.#broken || this.#pages.some(({ page }) => page.failed);
  }

  /** Resolves once all pages are committed. Throws the first failure, when nothing of any page is under way any more. */
  async drain(): Promise<void> {
    await this.#last;
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
