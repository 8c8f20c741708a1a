import { createHash } from 'node:crypto';

/** Ways in which Graph, or what lies before it, has been seen to fail. */
export type Fault =
  /** A delta token that no longer lives. Code in any spelling; default: 410; `location`: with a restart address. */
  | { readonly kind: 'gone'; readonly code: string; readonly status?: number; readonly location?: boolean }
  /** 429. `retryAfter`: seconds, or a date so many seconds ahead; absent: no such header. */
  | { readonly kind: 'throttled'; readonly retryAfter?: number; readonly as?: 'seconds' | 'date' }
  | { readonly kind: 'unavailable'; readonly retryAfter?: number }
  /** 504. `done`: the work was done all the same. */
  | { readonly kind: 'gatewayTimeout'; readonly done: boolean }
  /** The connection is reset without an answer. A request of a batch is left out of the answer instead. */
  | { readonly kind: 'reset'; readonly done: boolean }
  /** No answer ever; the connection stays open. */
  | { readonly kind: 'silent'; readonly done: boolean }
  /** `$batch`: the connection is reset once so many of its requests are done; the others are not. */
  | { readonly kind: 'cutBatch'; readonly after: number }
  /** 502 with a page of HTML. */
  | { readonly kind: 'badGateway' }
  /** 401, as if the token had just expired. */
  | { readonly kind: 'expiredToken' }
  /** Any other refusal in Graph's form. */
  | { readonly kind: 'refused'; readonly status: number; readonly code: string; readonly retryAfter?: number }
  /** The body comes this slowly. */
  | { readonly kind: 'slowBody'; readonly bytesPerSecond: number }
  /** The connection ends after so many bytes of the body. */
  | { readonly kind: 'shortBody'; readonly bytes: number }
  /** Delta: every item of a page twice. */
  | { readonly kind: 'duplicates' }
  /** Delta: items and removals that were reported long ago, once more. */
  | { readonly kind: 'replay' }
  /** Delta: no items, and a nextLink. */
  | { readonly kind: 'emptyPage' }
  /** Delta: the page comes again behind its own nextLink. */
  | { readonly kind: 'samePage' }
  /** Delta: the nextLink is the link that was asked for. */
  | { readonly kind: 'sameLink' }
  /** Delta: new items come with as little as updated ones. */
  | { readonly kind: 'partialItems' }
  /** Delta: `@removed` with the reason `changed` instead of `deleted`, as for something that can be restored. */
  | { readonly kind: 'removedAsChanged' }
  /** Delta: a message that left and came back between two polls is reported as removed only. */
  | { readonly kind: 'loseReturns' }
  /** Lists and deltas: the links lead to another origin: default: that of the upload host. */
  | { readonly kind: 'foreignLink'; readonly origin?: string }
  /** Send: the sent message cannot be found for so many lookups, or milliseconds. */
  | { readonly kind: 'lateSent'; readonly lookups?: number; readonly ms?: number };

export type FaultKind = Fault['kind'];

/** What a rule can look at. */
export interface FaultTarget {
  readonly method: string;
  /** As in the OpenAPI document; `uploadUrl` for the pre-authenticated address of an upload session. */
  readonly route: string;
  /** The user principal name; undefined where the path names nobody known. */
  readonly user: string | undefined;
  /** The message's id in the path, where there is one. */
  readonly message?: string | undefined;
  /** The subscription's id in the path, where there is one. */
  readonly subscription?: string | undefined;
  readonly query: URLSearchParams;
}

export interface FaultRule {
  readonly fault: Fault;
  readonly method?: string;
  /** The end of the route, such as `/send`, `/messages/{message-id}` or `/delta()`. */
  readonly route?: string;
  readonly user?: string;
  readonly when?: (target: FaultTarget) => boolean;
  /** Requests that fit and are let through first. Default: 0. */
  readonly skip?: number;
  /** Requests that are hit, then the rule is used up. Default: 1; Infinity is allowed. */
  readonly times?: number;
  /** 0 to 1: how likely each request is hit, by the seed of the stand-in. Default: 1. */
  readonly chance?: number;
}

export interface FaultHandle {
  /** How many requests it has hit. */
  readonly hits: number;
  remove(): void;
}

interface Entry {
  readonly rule: FaultRule;
  skipped: number;
  hits: number;
}

/** Rules for failing on purpose. Several can apply to one request. */
export class Faults {
  readonly #entries = new Set<Entry>();
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  add(rule: FaultRule): FaultHandle {
    const entry: Entry = { rule, skipped: 0, hits: 0 };
    this.#entries.add(entry);
    return {
      get hits() {
        return entry.hits;
      },
      remove: () => {
        this.#entries.delete(entry);
      },
    };
  }

  clear(): void {
    this.#entries.clear();
  }

  /** The faults that apply to this request, in the order in which they were added. Counts as a use of their rules. */
  applyingTo(target: FaultTarget): readonly Fault[] {
    return [...this.#entries].flatMap((entry) => {
      if (!fits(entry.rule, target)) return [];
      if (entry.skipped < (entry.rule.skip ?? 0)) {
        entry.skipped++;
        return [];
      }
      if (entry.hits >= (entry.rule.times ?? 1)) return [];
      const { chance } = entry.rule;
      if (chance !== undefined && this.#random() >= chance) return [];
      entry.hits++;
      return [entry.rule.fault];
    });
  }
}

function fits(rule: FaultRule, target: FaultTarget): boolean {
  return (
    (rule.method === undefined || rule.method.toUpperCase() === target.method) &&
    (rule.route === undefined || target.route.endsWith(rule.route)) &&
    (rule.user === undefined || rule.user.toLowerCase() === target.user?.toLowerCase()) &&
    (rule.when === undefined || rule.when(target))
  );
}

/** Numbers from 0 to below 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  let drawn = 0;
  return () => createHash('sha256').update(`${seed}/${drawn++}`).digest().readUInt32BE() / 2 ** 32;
}
