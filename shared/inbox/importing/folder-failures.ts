import { StoreError } from '../../adapters/store.ts';
import { sentencesOf } from '../../adapters/store-troubles.ts';
import { defined } from '../../platform/defined.ts';
import type { ImportContext } from '../session/import-context.ts';

/** Failures that concern the whole session, whatever folder they are met at. */
const sessionKinds: ReadonlySet<StoreError['kind']> = new Set(['signIn', 'throttled', 'noConnection']);

/** Longest reason of one folder, in characters. */
const maxReason = 300;

/**
 * Each folder fails by itself: what goes wrong at one is noted, and the others have their turn. A lost connection is
 * the folder's trouble only where another folder is gone through after it; else it is the session's, and is thrown.
 */
export class FolderFailures {
  readonly #context: ImportContext;
  readonly #failures = new Map<string, StoreError>();
  #lost: { readonly folder: string; readonly error: StoreError } | undefined;

  constructor(context: ImportContext) {
    this.#context = context;
  }

  has(folder: string): boolean {
    return this.#failures.has(folder);
  }

  /** Whether the folder is not known to be gone: it may merely be out of reach. */
  mayBeThere(folder: string): boolean {
    const failure = this.#failures.get(folder);
    return failure !== undefined && failure.kind !== 'folderMissing';
  }

  /** What `task` answers; undefined where it fails for a reason of this folder. `serves`: it asks the server for mail. */
  async attempt<T>(
    folder: string,
    task: () => Promise<T>,
    { serves = false }: { readonly serves?: boolean } = {},
  ): Promise<T | undefined> {
    try {
      const result = await task();
      if (serves) {
        // A retry may have failed here before: that was one mail's.
        this.#failures.delete(folder);
        this.#lost = undefined;
      }
      return result;
    } catch (error) {
      if (!(error instanceof StoreError) || sessionKinds.has(error.kind) || this.#context.signal.aborted) {
        throw error;
      }
      this.#failures.set(folder, error);
      if (error.kind === 'connection') {
        this.#lost ??= { folder, error };
      }
      return undefined;
    }
  }

  /** The folder at which the connection was lost for good. */
  get lostAt(): string | undefined {
    return this.#lost?.folder;
  }

  /** Notes the folders that failed in the run. Throws where none of `folders` was gone through, or the connection is lost. */
  finish(folders: readonly string[]): void {
    if (this.#lost) {
      throw this.#named(this.#lost.folder, this.#lost.error, folders.length);
    }
    const [first] = this.#failures;
    if (first && folders.every((folder) => this.#failures.has(folder))) {
      throw this.#named(first[0], first[1], folders.length);
    }
    for (const [folder, error] of this.#failures) {
      const named = this.#named(folder, error, 2);
      this.#context.note(sentencesOf(named), {
        code: named.code ?? named.kind,
        hint: named.message,
      });
    }
  }

  /** The failure with its folder's name, where the account has several. */
  #named(folder: string, error: StoreError, howMany: number): StoreError {
    if (howMany < 2) {
      return error;
    }
    const { kind, code, hint, found, retryAfterMs } = error;
    const message = `folder ${JSON.stringify(folder.slice(0, 100))}: ${error.message}`.slice(0, maxReason);
    return new StoreError(kind, message, {
      cause: error,
      ...defined({ code, hint, found, retryAfterMs }),
    });
  }
}
