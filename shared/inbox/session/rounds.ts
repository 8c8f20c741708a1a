import { RowConflict } from '../../platform/rows.ts';
import type { InboxContext } from '../context.ts';
import { singleKeys } from '../keys.ts';
import type { ImportContext } from './import-context.ts';

const key = singleKeys.again;

/**
 * The rounds of a run: whoever wants an import while one is under way asks it to go round once more. Row `again` says
 * which run may be asked and whether it was; a run closes it by a conditional write before it ends, so that an ask is
 * either heard or known to have come too late.
 */
export class Rounds {
  readonly #context: ImportContext;
  #etag = '';

  constructor(context: ImportContext) {
    this.#context = context;
  }

  /** Before a round: from here on an ask means another one. */
  async begin(): Promise<void> {
    const { inbox, account, runId } = this.#context;
    const [etag] = await inbox.rows.write(account, [{ kind: 'put', key, columns: { run: runId, open: true } }]);
    this.#etag = etag ?? '';
  }

  /** After a round: whether another one was asked for. If not, nobody can ask this run any more. */
  async askedAgain(): Promise<boolean> {
    const { inbox, account, runId } = this.#context;
    try {
      await inbox.rows.write(account, [
        { kind: 'replace', key, columns: { run: runId, open: false }, etag: this.#etag },
      ]);
      return false;
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
      return true;
    }
  }
}

/** Asks a run to go round once more; false where it has looked for the last time, or has not begun to look. */
export async function askAgain(
  inbox: InboxContext,
  account: string,
  runId: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<boolean> {
  for (;;) {
    const row = await inbox.rows.get(account, key, options);
    if (row?.columns.run !== runId || row.columns.open !== true) {
      return false;
    }
    try {
      const columns = { at: inbox.clock.now() };
      await inbox.rows.write(account, [{ kind: 'merge', key, columns, etag: row.etag }]);
      return true;
    } catch (error) {
      // The run closed it, or somebody else asked: look again.
      if (!(error instanceof RowConflict)) {
        throw error;
      }
    }
  }
}
