import { createHash } from 'node:crypto';

/** An app registration: who may ask for tokens, and how it proves itself. */
export interface RegisteredApp {
  readonly tenantId: string;
  readonly clientId: string;
  readonly secret?: string;
  /** Milliseconds since the epoch; the secret is refused from then on. Absent: never. */
  readonly secretExpiresAt?: number;
  /** A certificate in PEM: the app signs assertions with its key. */
  readonly certificate?: string;
  /** More certificates, as while one is being replaced by the next. */
  readonly certificates?: readonly string[];
  /** App roles that its tokens carry (`roles`), such as Graph application permissions. */
  readonly roles?: readonly string[];
  /** False: no administrator has consented yet, and no token is given out. */
  readonly consented?: boolean;
}

/** An identity that Azure manages for the app it runs as: it has no secret of its own. */
export interface ManagedIdentity {
  readonly tenantId: string;
  readonly clientId: string;
  readonly roles?: readonly string[];
  /** True: the one that is meant when a request names none. */
  readonly systemAssigned?: boolean;
}

/** The id of the app's service principal: made up, but the same at every start. */
export function objectIdOf(app: { readonly tenantId: string; readonly clientId: string }): string {
  const hex = createHash('sha256').update(`${app.tenantId}/${app.clientId}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
