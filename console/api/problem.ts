/** One mistake of a request: where it is (RFC 6901), and what is wrong. */
export interface Mistake {
  readonly pointer: string;
  readonly detail: string;
}

/** Why a call did not do what was asked. */
export interface Problem {
  /** HTTP status; 0: there was no answer. */
  readonly status: number;
  /** A sentence to show. */
  readonly text: string;
  readonly mistakes: readonly Mistake[];
  /** What else the service said, by name (RFC 9457 section 3.2). */
  readonly members: Readonly<Record<string, unknown>>;
}

/** What came of a call. */
export type Outcome<T> =
  | { readonly ok: true; readonly data: T; readonly response: Response }
  | { readonly ok: false; readonly problem: Problem };

/** There was no answer: the line is down, the service restarts, or the call was given up. */
export const noAnswer: Problem = {
  status: 0,
  text: 'The service did not answer. What you typed is kept; try again.',
  mistakes: [],
  members: {},
};

/** Sentences for answers without one, by status. */
const sentences: Readonly<Record<number, string>> = {
  401: 'The service does not accept this key here.',
  403: 'You are not allowed to do this.',
  404: 'It is not there any more.',
  412: 'Somebody else has changed it meanwhile. Load it again, then make your change.',
  413: 'It is too large.',
  429: 'The service has too much to do. Try again in a minute.',
  502: 'The service did not answer in time. Try again.',
  503: 'The service cannot do this at the moment. Try again.',
};

/** Reads the body of an answer that is no success. */
export function problemOf(status: number, body: unknown): Problem {
  const members = isObject(body) ? body : {};
  const mistakes = Array.isArray(members.errors) ? members.errors.filter(isMistake) : [];
  const detail = typeof members.detail === 'string' ? members.detail : undefined;
  return { status, text: detail ?? sentences[status] ?? `The service answered ${status}.`, mistakes, members };
}

/** Whether a value is an object, and no list. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMistake(value: unknown): value is Mistake {
  return isObject(value) && typeof value.pointer === 'string' && typeof value.detail === 'string';
}
