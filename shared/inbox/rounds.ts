import { RowConflict } from '../platform/rows.ts';
import type { InboxContext } from './context.ts';
import type { Work } from './work.ts';

const key = 'again';

/**
 * The rounds of a run: whoever wants an import while one is under way asks it to go round once more. Row `again` says
 * which run may be asked and whether it was; a run closes it by a conditional write before it ends, so that an ask is
 * either heard or known to have come too late.
 */
export class Rounds {
  readonly #work: Work;
  #etag = '';

  constructor(work: Work) {
    this.#work = work;
  }

  /** Before a round: from here on an ask means another one. */
  async begin(): Promise<void> {
    const { context, name, runId } = this.#work;
    const [etag] = await context.rows.write(name, [{ kind: 'put', key, columns: { run: runId, open: true } }]);
    this.#etag = etag ?? '';
  }

  /** After a round: whether another one was asked for. If not, nobody can ask this run any more. */
  async askedAgain(): Promise<boolean> {
    const { context, name, runId, signal } = this.#work;
    try {
      await context.rows.write(name, [
        { kind: 'replace', key, columns: { run: runId, open: false }, etag: this.#etag },
      ]);
      return false;
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
      // Asked; or our own write, carried out and then repeated by the SDK.
      const row = await context.rows.get(name, key, { signal });
      return row?.columns.open !== false;
    }
  }
}

/** Asks a run to go round once more; false where it has looked for the last time, or has not begun to look. */
export async function askAgain(
  context: InboxContext,
  account: string,
  runId: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<boolean> {
  for (;;) {
    const row = await context.rows.get(account, key, options);
    if (row?.columns.run !== runId || row.columns.open !== true) {
      return false;
    }
    try {
      const columns = { at: context.clock.now() };
      await context.rows.write(account, [{ kind: 'merge', key, columns, etag: row.etag }]);
      return true;
    } catch (error) {
      // The run closed it, or somebody else asked: look again.
      if (!(error instanceof RowConflict)) {
        throw error;
      }
    }
  }
}
