import { STATUS_CODES } from 'node:http';
import { type Mistake, Refusal, type RefusalReason } from '../platform/refusal.ts';

/** What a problem says beside its status and detail. */
export interface HttpProblemOptions {
  readonly title?: string;
  readonly errors?: readonly Mistake[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the answer (RFC 9457 section 3.2). */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The status of each reason for which something is refused (RFC 9110 section 15.5). */
const statusOf: Readonly<Record<RefusalReason, number>> = {
  invalid: 400,
  notFound: 404,
  conflict: 409,
  gone: 410,
  changed: 412,
  tooLarge: 413,
  keyReused: 422,
  // RFC 6585 section 4.
  tooMany: 429,
  unavailable: 503,
};

/** An answer other than success, thrown out of a handler. `detail` and `errors` are shown to the caller: no secrets, no contents. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly status: number;
  readonly title: string;
  readonly detail: string | undefined;
  readonly errors: readonly Mistake[] | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly extensions: Readonly<Record<string, unknown>>;

  constructor(status: number, detail?: string, options: HttpProblemOptions = {}) {
    super(detail ?? STATUS_CODES[status] ?? String(status), { cause: options.cause });
    this.status = status;
    // RFC 9457 section 4.2.1: without a `type`, the title is the status phrase.
    this.title = options.title ?? STATUS_CODES[status] ?? 'Error';
    this.detail = detail;
    // Bad input that no field can be named for is wrong as a whole: RFC 6901's empty pointer.
    const whole = status === 400 && detail !== undefined ? [{ pointer: '', detail }] : undefined;
    this.errors = options.errors ?? whole;
    this.headers = options.headers ?? {};
    this.extensions = options.extensions ?? {};
  }
}

/** What an Azure Functions handler may return as it is. */
export interface ProblemResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** `application/problem+json` (RFC 9457). */
export function problemResponse(problem: HttpProblem): ProblemResponse {
  const { status, title, detail, errors, extensions } = problem;
  return {
    status,
    headers: { ...problem.headers, 'Content-Type': 'application/problem+json' },
    body: JSON.stringify({ title, status, detail, errors, ...extensions }),
  };
}

/** While a setting is missing or wrong. Which one is for the operator: `reference` finds the line in the log. */
export function notSetUp(reference: string): HttpProblem {
  return new HttpProblem(503, 'The service is not set up. Its log says what is wrong, at the reference.', {
    extensions: { reference },
  });
}

/** Any thrown value as a problem; what is neither a problem nor a refusal becomes a 500 that says nothing of the inside. */
export function toProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) {
    return error;
  }
  if (error instanceof Refusal) {
    return new HttpProblem(statusOf[error.reason], error.message, {
      ...(error.mistakes ? { errors: error.mistakes } : {}),
      extensions: error.details,
      // RFC 9110 section 10.2.3: whole seconds.
      ...(error.retryAfterMs === undefined
        ? {}
        : { headers: { 'Retry-After': String(Math.ceil(error.retryAfterMs / 1000)) } }),
      cause: error,
    });
  }
  return new HttpProblem(500, 'The request could not be processed.', { cause: error });
}
