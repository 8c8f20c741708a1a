import { STATUS_CODES } from 'node:http';

/** One mistake in the input: where (RFC 6901 JSON pointer into it) and what is wrong. */
export interface Mistake {
  readonly pointer: string;
  readonly detail: string;
}

export interface HttpProblemOptions {
  readonly title?: string;
  readonly errors?: readonly Mistake[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the answer (RFC 9457 section 3.2). */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Enough for a person to work with; a body of a million wrong fields must not become an answer of a million lines. */
const maxErrors = 100;

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
    this.errors = options.errors?.slice(0, maxErrors) ?? whole;
    this.headers = options.headers ?? {};
    this.extensions = options.extensions ?? {};
  }
}

/** 400 with every mistake found. */
export function badInput(mistakes: readonly Mistake[], detail = 'The request has mistakes.'): HttpProblem {
  return new HttpProblem(400, detail, { errors: mistakes });
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

/** Any thrown value as a problem; what is not one becomes a 500 that tells the caller nothing of the inside. */
export function toProblem(error: unknown): HttpProblem {
  return error instanceof HttpProblem
    ? error
    : new HttpProblem(500, 'The request could not be processed.', { cause: error });
}
