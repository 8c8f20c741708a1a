import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as der from './der.ts';

/** A server certificate for `localhost` and `127.0.0.1`, and the authority that signed it. All PEM. */
export interface LocalCertificate {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface StoredCertificate extends LocalCertificate {
  /** The authority's certificate as a file, for NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
  /** The server's certificate and key as files, for servers that read them themselves. */
  readonly certFile: string;
  readonly keyFile: string;
}

const dayMs = 86_400_000;
/** Below the 398 days that TLS clients accept for a server. */
const lifetimeMs = 365 * dayMs;
/** A process that starts now should not meet the end of its certificate. */
const renewBeforeMs = 30 * dayMs;
/** Clocks of containers and their hosts differ a little. */
const backdateMs = dayMs;

const ids = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/**
 * Makes an authority and a server certificate signed by it. The authority's private key is forgotten at once: it can
 * sign nothing else, so trusting it in a process trusts this one server key. RSA is for those who sign assertions by it.
 */
export function makeCertificate(now = Date.now(), keyType: 'ec' | 'rsa' = 'ec'): LocalCertificate {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server =
    keyType === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const authorityName = `Mailroom local CA ${randomBytes(4).toString('hex')}`;
  const shared = { issuer: authorityName, issuerKey: authority, now };
  const ca = certificate({
    ...shared,
    subject: authorityName,
    subjectKey: authority.publicKey,
    extensions: [
      extension(ids.basicConstraints, true, der.sequence(der.boolean(true), der.unsigned(Buffer.from([0])))),
      // keyCertSign and cRLSign: bits 5 and 6.
      extension(ids.keyUsage, true, der.bitString(Buffer.from([0b0000_0110]), 1)),
    ],
  });
  const cert = certificate({
    ...shared,
    subject: 'localhost',
    subjectKey: server.publicKey,
    extensions: [
      extension(ids.basicConstraints, true, der.sequence()),
      // digitalSignature: bit 0.
      extension(ids.keyUsage, true, der.bitString(Buffer.from([0b1000_0000]), 7)),
      extension(ids.extendedKeyUsage, false, der.sequence(der.oid(ids.serverAuth))),
      extension(
        ids.subjectAltName,
        false,
        der.sequence(
          der.implicit(2, Buffer.from('localhost', 'latin1')),
          der.implicit(2, Buffer.from('*.localhost', 'latin1')),
          der.implicit(7, Buffer.from([127, 0, 0, 1])),
        ),
      ),
    ],
  });
  return { ca, cert, key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

interface CertificateParts {
  readonly subject: string;
  readonly subjectKey: KeyObject;
  readonly issuer: string;
  readonly issuerKey: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly now: number;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280 section 4.1. */
function certificate(parts: CertificateParts): string {
  const algorithm = der.sequence(der.oid(ids.ecdsaWithSha256));
  const body = der.sequence(
    der.explicit(0, der.unsigned(Buffer.from([2]))),
    der.unsigned(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    name(parts.issuer),
    der.sequence(der.time(parts.now - backdateMs), der.time(parts.now + lifetimeMs)),
    name(parts.subject),
    parts.subjectKey.export({ type: 'spki', format: 'der' }),
    der.explicit(
      3,
      der.sequence(
        ...parts.extensions,
        extension(ids.subjectKeyIdentifier, false, der.octetString(keyId(parts.subjectKey))),
        extension(ids.authorityKeyIdentifier, false, der.sequence(der.implicit(0, keyId(parts.issuerKey.publicKey)))),
      ),
    ),
  );
  const signature = sign('sha256', body, parts.issuerKey.privateKey);
  return pem('CERTIFICATE', der.sequence(body, algorithm, der.bitString(signature)));
}

function name(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.oid(ids.commonName), der.utf8String(commonName))));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octetString(value));
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The certificate kept in `directory`, or a new one where there is none, it is damaged, or it ends within 30 days. */
export async function localCertificate(directory: string, now = Date.now()): Promise<StoredCertificate> {
  const caFile = join(directory, 'ca.pem');
  const certFile = join(directory, 'server.pem');
  const keyFile = join(directory, 'server-key.pem');
  const kept = await readKept(directory);
  if (kept && isUsable(kept, now)) return { ...kept, caFile, certFile, keyFile };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const made = makeCertificate(now);
  await Promise.all([
    replaceFile(keyFile, made.key, 0o600),
    replaceFile(certFile, made.cert, 0o644),
    replaceFile(caFile, made.ca, 0o644),
  ]);
  return { ...made, caFile, certFile, keyFile };
}

async function readKept(directory: string): Promise<LocalCertificate | undefined> {
  try {
    const [ca, cert, key] = await Promise.all(
      ['ca.pem', 'server.pem', 'server-key.pem'].map((file) => readFile(join(directory, file), 'utf8')),
    );
    return ca && cert && key ? { ca, cert, key } : undefined;
  } catch {
    return undefined;
  }
}

function isUsable(kept: LocalCertificate, now: number): boolean {
  try {
    const server = new X509Certificate(kept.cert);
    const authority = new X509Certificate(kept.ca);
    return (
      server.verify(authority.publicKey) &&
      server.checkPrivateKey(createPrivateKey(kept.key)) &&
      Date.parse(server.validFrom) <= now &&
      Date.parse(server.validTo) > now + renewBeforeMs
    );
  } catch {
    return false;
  }
}

async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  await writeFile(`${path}.new`, text, { mode });
  // The mode of writeFile counts only for a file that was not there.
  await chmod(`${path}.new`, mode);
  await rename(`${path}.new`, path);
}
