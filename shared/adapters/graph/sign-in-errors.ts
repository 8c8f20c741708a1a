import { explainNetError } from '../net-errors.ts';
import { GraphError } from './graph-error.ts';

/** What the last request to the token endpoint came to: the library's own errors do not tell. */
export interface TokenTrace {
  failure?: unknown;
  status?: number;
  retryAfterMs?: number | undefined;
  /** Entra's own number of the refusal. */
  aadsts?: number | undefined;
}

/** The AADSTS number in a text of Entra. */
export function aadstsIn(text: string | null | undefined): number | undefined {
  const found = /AADSTS(\d{4,8})/.exec(text ?? '')?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Microsoft Learn, "Microsoft Entra authentication and authorization error codes": what an administrator can do. */
const hints: ReadonlyMap<number, string> = new Map([
  [50034, 'The app or user does not exist in this tenant. Check tenantId and clientId.'],
  [53003, 'A conditional access policy refuses this app. Ask the tenant’s administrator.'],
  [65001, 'The app has no consent. Have an administrator grant it the Mail permissions.'],
  [90002, 'There is no such tenant. Check tenantId and cloud.'],
  [500011, 'The tenant does not know Microsoft Graph under this address. Check cloud.'],
  [700016, 'There is no such app in this tenant. Check clientId and tenantId.'],
  [700024, 'The certificate’s assertion is not valid at this time. Check the clock of this host.'],
  [700027, 'The app does not have this certificate. Upload it to the app registration, or store the right one.'],
  [900023, 'tenantId is no tenant. Use its id or one of its domains.'],
  [900382, 'The tenant belongs to another cloud. Check cloud.'],
  [1002012, 'The tenant does not know Microsoft Graph under this address. Check cloud.'],
  [7000112, 'The app is disabled. Enable it in the tenant.'],
  [7000215, 'The client secret is wrong. Store the secret’s value, not its id.'],
  [7000218, 'The app is asked for a client secret or certificate. Check the type of the credential.'],
  [7000222, 'The client secret has expired. Make a new one in the app registration and store it.'],
  [7000229, 'The app has no service principal in this tenant. Have an administrator consent to it.'],
]);

/** Codes by which Entra says that it has trouble itself. */
const temporaryCodes: ReadonlySet<number> = new Set([90033, 90055, 50089, 130502, 7000110]);

const anyHint = 'Entra ID refuses the app. Check tenantId, clientId, the secret and the cloud.';

/** The trouble of a token request that failed. No text of the answer is kept, only its AADSTS number. */
export function signInError(error: unknown, trace: TokenTrace): GraphError {
  const { status = 0, retryAfterMs } = trace;
  const number = trace.aadsts ?? aadstsOf(error);
  if (number === undefined && trace.failure !== undefined) {
    const { code, hint } = explainNetError(trace.failure);
    return temporary(
      `the token endpoint could not be reached (${code})`,
      code === 'UNKNOWN' ? 'ECONNRESET' : code,
      hint,
    );
  }
  if (status === 429 || status >= 500 || (number !== undefined && temporaryCodes.has(number))) {
    return new GraphError('signIn', `the token endpoint answered ${status}`, {
      code: number === undefined ? `HTTP${status}` : `AADSTS${number}`,
      status,
      retryAfterMs,
      hint: 'Entra ID has trouble or asks to slow down. It may pass.',
      mayHaveArrived: false,
      temporary: true,
    });
  }
  if (number === undefined) return otherError(error, status);
  const code = `AADSTS${number}`;
  return new GraphError('signIn', `sign-in refused (${code})`, {
    code,
    status,
    hint: hints.get(number) ?? anyHint,
    mayHaveArrived: false,
  });
}

/** A managed identity answers no AADSTS number; and something that is no Entra may answer anything. */
function otherError(error: unknown, status: number): GraphError {
  const unavailable = error instanceof Error && error.name === 'CredentialUnavailableError';
  return new GraphError('signIn', `sign-in failed${status === 0 ? '' : ` (the token endpoint answered ${status})`}`, {
    code: status === 0 ? 'SIGN_IN' : `HTTP${status}`,
    status: status === 0 ? undefined : status,
    hint: unavailable
      ? 'There is no managed identity here. Switch it on for the app, and check clientId if it is a user-assigned one.'
      : `${anyHint} If AZURE_AUTHORITY_HOST is set, check that Entra ID answers there.`,
    mayHaveArrived: false,
  });
}

export function temporary(message: string, code: string, hint: string): GraphError {
  return new GraphError('signIn', message, { code, hint, mayHaveArrived: false, temporary: true });
}

/** Depth of causes looked at. */
const maxDepth = 4;

function aadstsOf(error: unknown, depth = 0): number | undefined {
  if (!(error instanceof Error) || depth > maxDepth) return undefined;
  return aadstsIn(error.message) ?? aadstsOf(error.cause, depth + 1);
}
