/** One mistake in the input: where (RFC 6901 JSON pointer into it) and what is wrong. */
export interface Mistake {
  readonly pointer: string;
  readonly detail: string;
}

/**
 * Why something that was asked for is not done. `invalid`: the input has mistakes. `notFound`: there is no such thing.
 * `conflict`: not in the state that things are in now. `changed`: it is not the version that was named. `tooLarge`.
 * `keyReused`: the idempotency key came with another request before. `gone`: there was such a thing, and it is not kept any
 * more. `tooMany`: more of them wait than may; later there may be room. `unavailable`: a part that the service needs did
 * not do its work, and the same may go well later.
 */
export type RefusalReason =
  | 'invalid'
  | 'notFound'
  | 'conflict'
  | 'changed'
  | 'tooLarge'
  | 'keyReused'
  | 'gone'
  | 'tooMany'
  | 'unavailable';

/** What a refusal says beside its reason. */
export interface RefusalOptions {
  readonly mistakes?: readonly Mistake[];
  /** Further members of the answer, as a report. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** A good time to ask again, in ms. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** Enough for a person to work with; a body of a million wrong fields must not become an answer of a million lines. */
const maxMistakes = 100;

/**
 * What was asked for is refused, for a reason that the caller gets. The code that refuses knows nothing of HTTP; the
 * HTTP side answers the status that belongs to the reason. Message and mistakes are shown: no secrets, no contents.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly reason: RefusalReason;
  readonly mistakes: readonly Mistake[] | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  readonly retryAfterMs: number | undefined;

  constructor(reason: RefusalReason, message: string, options: RefusalOptions = {}) {
    super(message, { cause: options.cause });
    this.reason = reason;
    // Bad input that no field can be named for is wrong as a whole: RFC 6901's empty pointer.
    const whole = reason === 'invalid' ? [{ pointer: '', detail: message }] : undefined;
    this.mistakes = options.mistakes?.slice(0, maxMistakes) ?? whole;
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** `invalid`, with every mistake that was found. */
export function badInput(mistakes: readonly Mistake[], message = 'The request has mistakes.'): Refusal {
  return new Refusal('invalid', message, { mistakes });
}
