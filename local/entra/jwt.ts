import { createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject, randomUUID } from 'node:crypto';
import { compactVerify, decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { z } from 'zod';

/** JSON Web Tokens as Entra ID signs them (RFC 7519, RFC 7515 compact form, RS256). */

const headerSchema = z.looseObject({
  alg: z.string(),
  kid: z.string().optional(),
  x5t: z.string().optional(),
  'x5t#S256': z.string().optional(),
});
const claimsSchema = z.looseObject({
  aud: z.string().optional(),
  iss: z.string().optional(),
  sub: z.string().optional(),
  exp: z.number().optional(),
  nbf: z.number().optional(),
});

export type JwtHeader = z.output<typeof headerSchema>;
export type JwtClaims = z.output<typeof claimsSchema>;

export interface ParsedJwt {
  readonly header: JwtHeader;
  readonly claims: JwtClaims;
  /** Checks the signature by the algorithm of the header; any but RS256 and PS256 is refused. */
  isSignedBy(key: KeyObject): Promise<boolean>;
}

/** Takes a compact JWS apart without trusting it; undefined for any other text. */
export function parseJwt(token: string): ParsedJwt | undefined {
  try {
    return {
      header: headerSchema.parse(decodeProtectedHeader(token)),
      claims: claimsSchema.parse(decodeJwt(token)),
      isSignedBy: (key) =>
        compactVerify(token, key, { algorithms: ['RS256', 'PS256'] }).then(
          () => true,
          () => false,
        ),
    };
  } catch {
    return undefined;
  }
}

/** A signing key with its published half. */
export interface SigningKey {
  readonly id: string;
  readonly publicKey: KeyObject;
  /** RFC 7517, as in Entra's `discovery/v2.0/keys`. */
  readonly jwk: JsonWebKey;
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>;
}

/** A new RSA key of 2,048 bits. */
export function makeSigningKey(): SigningKey {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const id = randomUUID().replaceAll('-', '');
  return {
    id,
    publicKey,
    jwk: { ...createPublicKey(privateKey).export({ format: 'jwk' }), use: 'sig', kid: id, x5t: id, alg: 'RS256' },
    sign: (claims) =>
      new SignJWT(claims).setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid: id, x5t: id }).sign(privateKey),
  };
}
