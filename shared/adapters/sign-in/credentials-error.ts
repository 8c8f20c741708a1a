/**
 * Why there is nothing to sign in with: `secret` (Key Vault gave none, or none that can be read), `refused` (Entra ID
 * refuses the app), `temporary` (Entra ID or the way to it has trouble). None of them says anything about the mail
 * server.
 */
export type CredentialsErrorKind = 'secret' | 'refused' | 'temporary';

/** What is known of why there are no credentials. */
export interface CredentialsErrorDetails {
  /** `SECRET`, `CERTIFICATE`, an AADSTS number, `HTTP` with a status, or the system's code such as `ENOTFOUND`. */
  readonly code: string;
  /** What a person can do about it. */
  readonly hint: string;
  /** Of the token endpoint's answer, where there was one. */
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** Its texts hold no secret, no token and no words of an answer. */
export class CredentialsError extends Error {
  override readonly name = 'CredentialsError';
  readonly kind: CredentialsErrorKind;
  readonly code: string;
  readonly hint: string;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(kind: CredentialsErrorKind, message: string, details: CredentialsErrorDetails) {
    super(message);
    this.kind = kind;
    this.code = details.code;
    this.hint = details.hint;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }
}
