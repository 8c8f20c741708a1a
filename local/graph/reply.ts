/** An answer before it is written: JSON, a body in pieces, or none. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  /** Consumed once, piece by piece, as the client takes them. */
  readonly pieces?: Iterable<Buffer>;
  /** Of `pieces`. */
  readonly mediaType?: string;
}

export const ok = (json: unknown): Reply => ({ status: 200, json });
export const noContent: Reply = { status: 204 };
/** What Graph answers to send and sendMail: an empty body. */
export const accepted: Reply = { status: 202 };
