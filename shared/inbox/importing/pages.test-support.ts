import { vi } from 'vitest';
import type { ChangePage, Checkpoint, ListedMail } from '../../adapters/store.ts';
import { changeSession, fakeMail, type TestInbox } from '../inbox.test-support.ts';

/** Folders that list their mails in these pages. A checkpoint says how many pages are behind it. */
export class Pages {
  /** Asked before each page. What it throws is what the listing throws. */
  before: (folder: string, page: number) => void | Promise<void> = () => undefined;
  /** Mails of which the listing does not say when they came. */
  readonly untimed = new Set<number>();
  /** What the listing says of itself. */
  trouble: string | undefined;
  /** Where listings began, in order. */
  readonly begun: string[] = [];
  readonly #inbox: TestInbox;
  readonly #pages: Readonly<Record<string, readonly (readonly number[])[]>>;

  constructor(inbox: TestInbox, pages: Readonly<Record<string, readonly (readonly number[])[]>>) {
    this.#inbox = inbox;
    this.#pages = pages;
    inbox.store.mails = Object.values(pages).flat(2).map(fakeMail);
    changeSession(inbox, () => ({
      scope: async (folder) => `${folder};1`,
      changes: (folder, checkpoint) => this.#changes(folder, checkpoint),
    }));
  }

  async *#changes(folder: string, checkpoint: Checkpoint | undefined): AsyncGenerator<ChangePage> {
    const pages = this.#pages[folder] ?? [];
    const first = Number(checkpoint?.behind ?? 0);
    this.begun.push(`${folder} ${first}`);
    const said = this.trouble === undefined ? {} : { trouble: this.trouble };
    for (let at = first; at < pages.length || at === first; at += 1) {
      await this.before(folder, at);
      const mails = (pages[at] ?? []).map((n) => this.#listed(folder, n));
      const remaining = pages.slice(at + 1).flat().length;
      yield { mails, checkpoint: { behind: Math.min(at + 1, pages.length) }, remaining, ...said };
    }
  }

  #listed(folder: string, n: number): ListedMail {
    const { item, bytes, receivedAt } = fakeMail(n);
    const source = { store: this.#inbox.store.identity, scope: `${folder};1`, item };
    return { source, folder, size: bytes.length, ...(this.untimed.has(n) ? {} : { receivedAt }) };
  }
}

/** Lets a share of a run's time pass at once. */
export function timeMachine(inbox: TestInbox): (share: number) => void {
  let passedMs = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + passedMs);
  return (share) => {
    passedMs += inbox.context.budgetMs * share;
  };
}
