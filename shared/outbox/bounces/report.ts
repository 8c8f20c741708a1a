/** What a bounce says of one recipient. */
export interface BouncedRecipient {
  readonly address: string;
  /** An enhanced status code (RFC 3463), such as `5.1.1`. */
  readonly status: string | null;
  /** What the server that refused said. */
  readonly diagnostic: string | null;
}

/** A mail that says that another mail did not reach its recipients. */
export interface BounceReport {
  /** Message-ID of the mail that came back, with its angle brackets; null where the bounce does not say it. */
  readonly messageId: string | null;
  /** Those that will not get it. A mail that is only late is no bounce. */
  readonly failed: readonly BouncedRecipient[];
}
