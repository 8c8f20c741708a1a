import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto';
import type { RegisteredApp } from './app.ts';
import { EntraRefusal } from './errors.ts';
import { type JwtHeader, parseJwt } from './jwt.ts';

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** Clocks may differ by this much. */
const skewSeconds = 300;

/** Throws unless the request proves to come from the app: by its secret, or by an assertion (RFC 7523 section 2.2). */
export async function checkClientProof(
  app: RegisteredApp,
  form: URLSearchParams,
  audiences: readonly string[],
  now: number,
): Promise<void> {
  const secret = form.get('client_secret');
  const assertion = form.get('client_assertion');
  if (assertion !== null && form.get('client_assertion_type') === assertionType) {
    await checkAssertion(app, assertion, audiences, now);
  } else if (secret === null) {
    throw new EntraRefusal('missingCredential', 'The request must carry client_secret or client_assertion.');
  } else if (app.secret === undefined || !sameText(secret, app.secret)) {
    throw new EntraRefusal('invalidSecret', `The client secret is not one of app '${app.clientId}'.`);
  } else if (app.secretExpiresAt !== undefined && now >= app.secretExpiresAt) {
    throw new EntraRefusal('expiredSecret', `The client secret of app '${app.clientId}' has expired.`);
  }
}

async function checkAssertion(
  app: RegisteredApp,
  assertion: string,
  audiences: readonly string[],
  now: number,
): Promise<void> {
  const jwt = parseJwt(assertion);
  if (!jwt) throw new EntraRefusal('invalidAssertion', 'The assertion is malformed.');
  const { header, claims } = jwt;
  const certificate = certificatesOf(app).find((one) => isNamedBy(header, one));
  if (!certificate) {
    throw new EntraRefusal('invalidAssertion', 'The assertion names a certificate that the app does not have.');
  }
  if (!(await jwt.isSignedBy(certificate.publicKey))) {
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
  if (now > Date.parse(certificate.validTo)) {
    throw new EntraRefusal('invalidAssertion', 'The certificate that signed the assertion has expired.');
  }
}

function certificatesOf(app: RegisteredApp): readonly X509Certificate[] {
  const all = [...(app.certificate === undefined ? [] : [app.certificate]), ...(app.certificates ?? [])];
  return all.map((pem) => new X509Certificate(pem));
}

/** RFC 7515 sections 4.1.7 and 4.1.8: `x5t` is a SHA-1 thumbprint, `x5t#S256` one of SHA-256. */
function isNamedBy(header: JwtHeader, certificate: X509Certificate): boolean {
  const thumbprint = (algorithm: string) => createHash(algorithm).update(certificate.raw).digest('base64url');
  const sha256 = header['x5t#S256'];
  return sha256 === undefined ? header.x5t === thumbprint('sha1') : sha256 === thumbprint('sha256');
}

function sameText(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
