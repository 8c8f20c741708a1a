import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomUUID,
  sign,
  verify,
} from 'node:crypto';
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
  isSignedBy(key: KeyObject): boolean;
}

/** Takes a compact JWS apart without trusting it; undefined for anything that is none. */
export function parseJwt(token: string): ParsedJwt | undefined {
  const [head, body, signature, ...more] = token.split('.');
  if (!head || !body || !signature || more.length > 0) return undefined;
  const header = headerSchema.safeParse(json(head));
  const claims = claimsSchema.safeParse(json(body));
  if (!header.success || !claims.success) return undefined;
  return {
    header: header.data,
    claims: claims.data,
    isSignedBy(key) {
      const { alg } = header.data;
      if (key.asymmetricKeyType !== 'rsa' || (alg !== 'RS256' && alg !== 'PS256')) return false;
      const padding =
        alg === 'RS256'
          ? { padding: constants.RSA_PKCS1_PADDING }
          : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
      return verify('sha256', Buffer.from(`${head}.${body}`), { key, ...padding }, Buffer.from(signature, 'base64url'));
    },
  };
}

function json(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
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
  sign(claims: Readonly<Record<string, unknown>>): string;
}

export function makeSigningKey(): SigningKey {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const id = randomUUID().replaceAll('-', '');
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    id,
    publicKey,
    jwk: { ...createPublicKey(privateKey).export({ format: 'jwk' }), use: 'sig', kid: id, x5t: id, alg: 'RS256' },
    sign(claims) {
      const content = `${encode({ typ: 'JWT', alg: 'RS256', kid: id, x5t: id })}.${encode(claims)}`;
      return `${content}.${sign('sha256', Buffer.from(content), privateKey).toString('base64url')}`;
    },
  };
}
