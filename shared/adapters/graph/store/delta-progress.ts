import { createHash } from 'node:crypto';

/** Pages in a row that bring nothing new. Graph sends empty pages that go on, but not so many. */
const maxFruitless = 50;

/** A text as a number: of many ids little is kept, and a rare collision only makes a page look less new. */
function fingerprint(text: string): number {
  return createHash('sha1').update(text).digest().readUIntBE(0, 6);
}

/** Whether the pages of a delta query get on. Ids may repeat within a round, and pages may be empty, but not for ever. */
export class DeltaProgress {
  readonly #links = new Set<number>();
  readonly #ids = new Set<number>();
  #fruitless = 0;

  constructor(link: string | undefined) {
    if (link !== undefined) this.#links.add(fingerprint(link));
  }

  /** After each page, with its ids and its nextLink: why the pages will not end; undefined while they get on. */
  endlessAfter(ids: readonly string[], nextLink: string | null | undefined): string | undefined {
    const before = this.#ids.size;
    for (const id of ids) this.#ids.add(fingerprint(id));
    if (!nextLink) {
      // The round has ended; another one may list the same mails again.
      this.#ids.clear();
      this.#fruitless = 0;
      return undefined;
    }
    this.#fruitless = this.#ids.size > before ? 0 : this.#fruitless + 1;
    const link = fingerprint(nextLink);
    if (this.#links.has(link)) return 'a page leads back to one that was read';
    this.#links.add(link);
    return this.#fruitless >= maxFruitless ? `${maxFruitless} pages in a row brought nothing new` : undefined;
  }
}
