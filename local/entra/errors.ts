import { randomUUID } from 'node:crypto';
import type { HttpsAnswer } from '../https-server.ts';

/** What Entra refuses a token request for, with its AADSTS number, OAuth 2.0 error and HTTP status. */
const refusals = {
  badRequest: [900144, 'invalid_request', 400],
  unsupportedGrant: [70003, 'unsupported_grant_type', 400],
  invalidScope: [1002012, 'invalid_scope', 400],
  tenantNotFound: [90002, 'invalid_request', 400],
  unknownApp: [700016, 'unauthorized_client', 400],
  invalidSecret: [7000215, 'invalid_client', 401],
  expiredSecret: [7000222, 'invalid_client', 401],
  consentMissing: [65001, 'invalid_grant', 400],
  missingCredential: [7000218, 'invalid_client', 401],
  invalidAssertion: [700027, 'invalid_client', 401],
  assertionTime: [700024, 'invalid_client', 401],
  assertionAudience: [700023, 'invalid_client', 401],
} as const satisfies Record<string, readonly [number, string, number]>;

export type Refusal = keyof typeof refusals;

/** Thrown inside the stand-in; carries what the caller is answered. */
export class EntraRefusal extends Error {
  override readonly name = 'EntraRefusal';
  readonly refusal: Refusal;

  constructor(refusal: Refusal, message: string) {
    super(message);
    this.refusal = refusal;
  }
}

/** The error body of Entra's token endpoint (Microsoft Learn, "Authentication and authorization error codes"). */
export function refusalAnswer(error: EntraRefusal, now: number): HttpsAnswer {
  const [code, name, status] = refusals[error.refusal];
  const traceId = randomUUID();
  const correlationId = randomUUID();
  const timestamp = `${new Date(now).toISOString().slice(0, 19).replace('T', ' ')}Z`;
  return {
    status,
    body: {
      error: name,
      error_description: `AADSTS${code}: ${error.message} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
      error_codes: [code],
      timestamp,
      trace_id: traceId,
      correlation_id: correlationId,
      error_uri: `https://login.microsoftonline.com/error?code=${code}`,
    },
  };
}
