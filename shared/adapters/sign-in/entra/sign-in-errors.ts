import { explainNetError } from '../../net/net-errors.ts';
import { CredentialsError } from '../credentials-error.ts';
import type { TokenPlace } from './place.ts';

/** How the last request to the token endpoint ended: the library's own errors do not say. */
export interface TokenTrace {
  failure?: unknown;
  status?: number;
  retryAfterMs?: number | undefined;
  /** Entra's own number of the refusal. */
  aadsts?: number | undefined;
  /** The machine has no such identity. */
  noIdentity?: boolean;
}

/** The AADSTS number in a text of Entra. */
export function aadstsIn(text: string | null | undefined): number | undefined {
  const found = /AADSTS(\d{4,8})/.exec(text ?? '')?.[1];
  return found === undefined ? undefined : Number(found);
}

type Resource = TokenPlace['resource'];

/** The setting that decides about the cloud, and what an administrator consents to, by what the token is for. */
const terms: Readonly<Record<Resource, { readonly cloud: string; readonly permissions: string }>> = {
  'Microsoft Graph': { cloud: 'Check cloud', permissions: 'the Mail permissions' },
  'Exchange Online': {
    cloud: 'Check host, which says in which cloud the mailbox is',
    permissions: 'IMAP.AccessAsApp, POP.AccessAsApp or SMTP.SendAsApp of Office 365 Exchange Online',
  },
};

/**
 * Microsoft Learn, "Microsoft Entra authentication and authorization error codes": what an administrator can do.
 * `{resource}`, `{cloud}` and `{permissions}` are filled in.
 */
const hints: ReadonlyMap<number, string> = new Map([
  [50034, 'The app or user does not exist in this tenant. Check tenantId and clientId.'],
  [53003, 'A conditional access policy refuses this app. Ask the tenant’s administrator.'],
  [65001, 'The app has no consent. Have an administrator grant it {permissions}.'],
  [90002, 'There is no such tenant. Check tenantId. {cloud}.'],
  [500011, 'The tenant does not know {resource} under this address. {cloud}.'],
  [700016, 'There is no such app in this tenant. Check clientId and tenantId.'],
  [700024, 'The certificate’s assertion is not valid at this time. Check the clock of this host.'],
  [700027, 'The app does not have this certificate. Upload it to the app registration, or store the right one.'],
  [900023, 'tenantId is no tenant. Use its id or one of its domains.'],
  [900382, 'The tenant belongs to another cloud. {cloud}.'],
  [1002012, 'The tenant does not know {resource} under this address. {cloud}.'],
  [7000112, 'The app is disabled. Enable it in the tenant.'],
  [7000215, 'The client secret is wrong. Store the secret’s value, not its id.'],
  [7000218, 'The app is asked for a client secret or certificate. Check the type of the credential.'],
  [7000222, 'The client secret has expired. Make a new one in the app registration and store it.'],
  [7000229, 'The app has no service principal in this tenant. Have an administrator consent to it.'],
]);

/** Codes by which Entra says that it has trouble itself. */
const temporaryCodes: ReadonlySet<number> = new Set([90033, 90055, 50089, 130502, 7000110]);

const anyHint = 'Entra ID refuses the app. Check tenantId, clientId and the secret. {cloud}.';

function filled(hint: string, resource: Resource): string {
  const { cloud, permissions } = terms[resource];
  return hint.replace('{resource}', resource).replace('{cloud}', cloud).replace('{permissions}', permissions);
}

/** The trouble of a token request that failed. No text of the answer is kept, only its AADSTS number. */
export function signInError(error: unknown, trace: TokenTrace, resource: Resource): CredentialsError {
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
    return new CredentialsError('temporary', `the token endpoint answered ${status}`, {
      code: number === undefined ? `HTTP${status}` : `AADSTS${number}`,
      status,
      retryAfterMs,
      hint: 'Entra ID has trouble or asks to slow down. It may pass.',
    });
  }
  if (number === undefined) return otherError(trace, resource);
  const code = `AADSTS${number}`;
  return new CredentialsError('refused', `sign-in refused (${code})`, {
    code,
    status,
    hint: filled(hints.get(number) ?? anyHint, resource),
  });
}

/** A managed identity answers no AADSTS number; and something that is no Entra may answer anything. */
function otherError({ status = 0, noIdentity = false }: TokenTrace, resource: Resource): CredentialsError {
  const what = status === 0 ? 'sign-in failed' : `sign-in failed (the token endpoint answered ${status})`;
  return new CredentialsError('refused', what, {
    code: status === 0 ? 'SIGN_IN' : `HTTP${status}`,
    status: status === 0 ? undefined : status,
    hint: noIdentity
      ? 'There is no managed identity here. Switch it on for the app, and check clientId if it is a user-assigned one.'
      : `${filled(anyHint, resource)} If AZURE_AUTHORITY_HOST is set, check that Entra ID answers there.`,
  });
}

/** A trouble of Entra ID, or of the way to it, that may pass. */
export function temporary(message: string, code: string, hint: string): CredentialsError {
  return new CredentialsError('temporary', message, { code, hint });
}

/** Depth of causes looked at. */
const maxDepth = 4;

function aadstsOf(error: unknown, depth = 0): number | undefined {
  if (!(error instanceof Error) || depth > maxDepth) return undefined;
  return aadstsIn(error.message) ?? aadstsOf(error.cause, depth + 1);
}
