import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto';
import { EntraRefusal } from './errors.ts';
import { parseJwt } from './jwt.ts';

/** An app registration: who may ask for tokens, and how it proves itself. */
export interface RegisteredApp {
  readonly tenantId: string;
  readonly clientId: string;
  readonly secret?: string;
  /** A certificate in PEM: the app signs assertions with its key. */
  readonly certificate?: string;
  /** App roles that its tokens carry (`roles`), such as Graph application permissions. */
  readonly roles?: readonly string[];
}

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** Clocks may differ by this much. */
const skewSeconds = 300;

/** Throws unless the request proves to come from the app: by its secret, or by an assertion (RFC 7523 section 2.2). */
export function checkClientProof(
  app: RegisteredApp,
  form: URLSearchParams,
  audiences: readonly string[],
  now: number,
): void {
  const secret = form.get('client_secret');
  const assertion = form.get('client_assertion');
  if (assertion !== null && form.get('client_assertion_type') === assertionType) {
    checkAssertion(app, assertion, audiences, now);
  } else if (secret === null) {
    throw new EntraRefusal('missingCredential', 'The request must carry client_secret or client_assertion.');
  } else if (app.secret === undefined || !sameText(secret, app.secret)) {
    throw new EntraRefusal('invalidSecret', `The client secret is not one of app '${app.clientId}'.`);
  }
}

function checkAssertion(app: RegisteredApp, assertion: string, audiences: readonly string[], now: number): void {
  const jwt = parseJwt(assertion);
  if (!jwt || app.certificate === undefined) {
    throw new EntraRefusal('invalidAssertion', 'The assertion is malformed, or the app has no certificate.');
  }
  const { header, claims } = jwt;
  const certificate = new X509Certificate(app.certificate);
  const thumbprint = (algorithm: string) => createHash(algorithm).update(certificate.raw).digest('base64url');
  const names = header['x5t#S256'] ?? header.x5t;
  if (names !== thumbprint('sha256') && names !== thumbprint('sha1')) {
    throw new EntraRefusal('invalidAssertion', 'The assertion names a certificate that the app does not have.');
  }
  if (!jwt.isSignedBy(certificate.publicKey)) {
    throw new EntraRefusal('invalidAssertion', 'The signature of the assertion is wrong.');
  }
  if (claims.iss !== app.clientId || claims.sub !== app.clientId) {
    throw new EntraRefusal('invalidAssertion', 'Issuer and subject of the assertion must be the client id.');
  }
  if (!audiences.includes(claims.aud ?? '')) {
    throw new EntraRefusal('assertionAudience', 'The audience of the assertion is not this token endpoint.');
  }
  const seconds = now / 1000;
  if ((claims.exp ?? 0) < seconds - skewSeconds || (claims.nbf ?? 0) > seconds + skewSeconds) {
    throw new EntraRefusal('assertionTime', 'The assertion is not valid at this time.');
  }
}

function sameText(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
