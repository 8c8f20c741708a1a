import { z } from 'zod';
import { HttpProblem } from './problem.ts';

/** App roles of the Entra application in front. `Mailroom.Admin` may do everything. */
export type Role = 'Mailroom.Send' | 'Mailroom.Read' | 'Mailroom.Admin';

/** Entra puts app roles in `roles`; App Service may hand them on under the long name. */
const roleClaims: ReadonlySet<string> = new Set([
  'roles',
  'http://schemas.microsoft.com/ws/2008/06/identity/claims/role',
]);

/** App Service keeps request headers far below this. */
const maxPrincipalLength = 64 * 1024;

const principalSchema = z.object({ claims: z.array(z.object({ typ: z.string(), val: z.string() })) });

/** Who decides over callers. */
export interface AuthorizeOptions {
  /**
   * Entra sign-in is in front of the app (`WEBSITE_AUTH_ENABLED`). Only then is X-MS-CLIENT-PRINCIPAL the platform's
   * word; otherwise any caller can write it, and the function key has already decided.
   */
  readonly signIn: boolean;
}

function rolesOf(header: string | null): ReadonlySet<string> | undefined {
  if (header === null || header.length > maxPrincipalLength) return undefined;
  try {
    const { claims } = principalSchema.parse(JSON.parse(Buffer.from(header, 'base64').toString('utf8')));
    return new Set(claims.filter((claim) => roleClaims.has(claim.typ)).map((claim) => claim.val));
  } catch {
    return undefined;
  }
}

/** Lets the caller pass who has `role` or is an administrator. Throws HttpProblem 401 (nobody) or 403 (not that one). */
export function authorize(headers: { get(name: string): string | null }, role: Role, options: AuthorizeOptions): void {
  if (!options.signIn) return;
  const roles = rolesOf(headers.get('x-ms-client-principal'));
  if (roles === undefined)
    throw new HttpProblem(401, 'Sign-in is required.', { headers: { 'WWW-Authenticate': 'Bearer' } });
  if (!roles.has(role) && !roles.has('Mailroom.Admin'))
    throw new HttpProblem(403, `The caller does not have the app role ${role}.`);
}
