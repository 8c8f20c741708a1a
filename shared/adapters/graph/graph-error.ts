/**
 * Where a failure comes from: `answer` (Graph answered with an error status), `network` (not reached, went away,
 * silent), `signIn` (no token), `secret` (the credential's secret could not be read), `aborted` (the caller's signal),
 * `nonsense` (an answer or a link that makes no sense).
 */
export type GraphErrorOrigin = 'answer' | 'network' | 'signIn' | 'secret' | 'aborted' | 'nonsense';

/** What is known of a failed call beside where it failed. */
export interface GraphErrorDetails {
  /** Graph's `error.code`, an AADSTS number, or the system's code such as `ECONNREFUSED`. */
  readonly code: string;
  readonly status?: number | undefined;
  /** Graph's `request-id`: what Microsoft's support asks for. */
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  /** Graph's own words, made plain; without the token. */
  readonly words?: string | undefined;
  /** What a person can do about it. */
  readonly hint?: string | undefined;
  /** False where the request certainly never reached the server. */
  readonly mayHaveArrived?: boolean;
  /** The trouble passes by itself or is the network's: no refusal of credentials (origin `signIn`). */
  readonly temporary?: boolean;
}

/** A failed call of Graph. Its message is Mailroom's own: none of Graph's words, so no token, link or content of a mail. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
  readonly origin: GraphErrorOrigin;
  readonly code: string;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly words: string;
  readonly hint: string | undefined;
  readonly mayHaveArrived: boolean;
  readonly temporary: boolean;

  constructor(origin: GraphErrorOrigin, message: string, details: GraphErrorDetails) {
    super(message);
    this.origin = origin;
    this.code = details.code;
    this.status = details.status;
    this.requestId = details.requestId;
    this.retryAfterMs = details.retryAfterMs;
    this.words = details.words ?? '';
    this.hint = details.hint;
    this.mayHaveArrived = details.mayHaveArrived ?? true;
    this.temporary = details.temporary ?? false;
  }

  /** Whether the code is one of these, in any letter case: Graph's spelling varies. */
  is(...codes: readonly string[]): boolean {
    const own = this.code.toLowerCase();
    return codes.some((code) => code.toLowerCase() === own);
  }
}

/** The GraphError of a call that the caller stopped. */
export function abortedError(signal: AbortSignal): GraphError {
  const reason = signal.reason instanceof Error ? signal.reason.name : 'AbortError';
  return new GraphError('aborted', `stopped by the caller (${reason})`, { code: 'ABORT_ERR' });
}

/** Longest server text kept. */
const maxText = 200;

/** A server's words on one line, without what must not be repeated: addresses of the web, tokens, long opaque strings. */
export function plainWords(text: string): string {
  return (
    text
      .slice(0, 4_000)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
      .replace(/[\u0000-\u0020\u007f-\u009f\u2028\u2029]+/g, ' ')
      .replace(/https?:\/\/\S+/gi, '(address)')
      .replace(/\bBearer\s+[\w.+/=-]{8,}|\beyJ[\w.+/=-]{8,}/g, '(token)')
      .replace(/[\w+/=-]{48,}/g, '(…)')
      .trim()
      .slice(0, maxText)
  );
}
