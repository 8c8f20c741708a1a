/** A request as it came and was answered. Nothing of its contents. */
export interface RequestRecord {
  readonly method: string;
  /** As in the OpenAPI document; `uploadUrl` on the upload host; `unknown` where nothing fits. */
  readonly route: string;
  /** The user principal name. */
  readonly user: string | undefined;
  /** 0 while there is no answer, and where none was sent. */
  readonly status: number;
  /** Graph's code of a refusal. */
  readonly code: string | undefined;
  readonly hadToken: boolean;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** A request, or an answer of this stand-in, that Microsoft's description of the service does not allow. */
export interface Violation {
  readonly of: 'request' | 'answer';
  readonly method: string;
  readonly route: string;
  readonly problems: readonly string[];
}

/** A token that was sent where it must not go. */
export interface ExposedToken {
  readonly host: string;
  readonly method: string;
  readonly at: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const maxRecords = 100_000;

/** What came in, for tests to count. The oldest goes first. */
export class Records {
  readonly requests: RequestRecord[] = [];
  readonly violations: Violation[] = [];
  readonly exposedTokens: ExposedToken[] = [];

  begin(method: string, hadToken: boolean, at: number): Mutable<RequestRecord> {
    const record = { method, route: 'unknown', user: undefined, status: 0, code: undefined, hadToken, at };
    keep(this.requests, record);
    return record;
  }

  violate(violation: Violation): void {
    keep(this.violations, violation);
  }

  tokenExposed(token: ExposedToken): void {
    keep(this.exposedTokens, token);
  }

  clear(): void {
    this.requests.length = 0;
    this.violations.length = 0;
    this.exposedTokens.length = 0;
  }
}

function keep<T>(list: T[], one: T): void {
  list.push(one);
  if (list.length > maxRecords) list.shift();
}
