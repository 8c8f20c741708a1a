import { randomBytes } from 'node:crypto';
import type { Change } from './change-log.ts';
import { GraphRefusal } from './graph-error.ts';
import type { Folder } from './item.ts';
import type { Expansion } from './odata-query.ts';

/** The options of a round; they stay with its tokens for good. */
export interface DeltaOptions {
  readonly select: readonly string[] | undefined;
  readonly expand: readonly Expansion[];
  /** Only mail received from then on; `exclusive` leaves out the very moment. */
  readonly receivedFrom: { readonly at: number; readonly exclusive: boolean } | undefined;
  readonly newestFirst: boolean;
  readonly changeType: string | undefined;
  readonly pageSize: number | undefined;
  readonly immutableIds: boolean;
}

/** A point in a round that a link leads to. */
export interface Generation {
  readonly state: SyncState;
  readonly number: number;
  /** `next`: goes on with `pending`. `delta`: asks what changed since `cursor`. */
  readonly kind: 'next' | 'delta';
  /** The mailbox's sequence when the round began. */
  readonly cursor: number;
  readonly pending: readonly Change[];
  readonly at: number;
}

export interface SyncState {
  readonly folder: Folder;
  readonly options: DeltaOptions;
  /** By token, the least lately used first. */
  readonly generations: Map<string, Generation>;
  highest: number;
}

/** Older ones are dropped: real tokens were seen to live for about as many (microsoft-graph-docs issue 2162). */
const liveGenerations = 3;
const maxStates = 100;

/** The refusal of a delta token that has ended; `location` is where a new round begins. */
function gone(code: string, message: string, location?: string): GraphRefusal {
  return new GraphRefusal(410, code, message, location === undefined ? {} : { location });
}

/** The server's side of delta tokens. They end without notice: by age, by number, and on request of a test. */
export class DeltaStates {
  readonly #states = new Map<SyncState, true>();
  readonly #tokens = new Map<string, SyncState>();

  begin(folder: Folder, options: DeltaOptions, cursor: number, pending: readonly Change[]): Generation {
    const state: SyncState = { folder, options, generations: new Map(), highest: 0 };
    this.#states.set(state, true);
    for (const oldest of this.#states.keys()) {
      if (this.#states.size <= maxStates) break;
      this.#drop(oldest);
    }
    return { state, number: 0, kind: 'next', cursor, pending, at: 0 };
  }

  /** The token of what comes after a page. */
  advance(from: Generation, next: Pick<Generation, 'kind' | 'cursor' | 'pending' | 'at'>): string {
    const { state } = from;
    const token = randomBytes(60).toString('base64url');
    state.generations.set(token, { ...next, state, number: ++state.highest });
    this.#tokens.set(token, state);
    for (const oldest of state.generations.keys()) {
      if (state.generations.size <= liveGenerations) break;
      state.generations.delete(oldest);
      this.#tokens.delete(oldest);
    }
    return token;
  }

  /** Throws 410 for a token that no longer lives, or was made in another way than it is used. */
  find(token: string, folder: Folder, immutableIds: boolean): Generation {
    const state = this.#tokens.get(token);
    const generation = state?.generations.get(token);
    if (!state || !generation) throw gone('SyncStateNotFound', 'The sync state generation is not found.');
    // corso issue 3176: a link that was made with one kind of ids does not serve the other.
    if (state.folder !== folder || state.options.immutableIds !== immutableIds) {
      throw gone('SyncStateInvalid', 'The sync state is not valid for this request.');
    }
    if (generation.cursor < folder.log.floor) throw gone('ResyncRequired', 'Changes are no longer known.');
    // Used ones stay longer: a client that lost the answer asks again by the same link.
    state.generations.delete(token);
    state.generations.set(token, generation);
    this.#states.delete(state);
    this.#states.set(state, true);
    return generation;
  }

  /** Ends every token of the mailbox. */
  expireAll(): void {
    this.#states.clear();
    this.#tokens.clear();
  }

  #drop(state: SyncState): void {
    this.#states.delete(state);
    for (const [token, owner] of this.#tokens) if (owner === state) this.#tokens.delete(token);
  }
}
