// The library describes its classes by decorators, which need this.
import 'reflect-metadata';
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

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

const elliptic = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const rsa = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
} as const;

/**
 * Makes an authority and a server certificate signed by it. The authority's private key is forgotten at once: it can
 * sign nothing else, so trusting it in a process trusts this one server key. RSA is for those who sign assertions by it.
 */
export async function makeCertificate(now = Date.now(), keyType: 'ec' | 'rsa' = 'ec'): Promise<LocalCertificate> {
  const authorityKeys = await crypto.subtle.generateKey(elliptic, true, ['sign', 'verify']);
  const serverKeys = await crypto.subtle.generateKey(keyType === 'ec' ? elliptic : rsa, true, ['sign', 'verify']);
  const issuer = `CN=Mailroom local CA ${randomBytes(4).toString('hex')}`;
  const shared = {
    issuer,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: elliptic,
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + lifetimeMs),
  };
  const authorityId = await AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey);
  const authority = await X509CertificateGenerator.create({
    ...shared,
    serialNumber: serialNumber(),
    subject: issuer,
    publicKey: authorityKeys.publicKey,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
      authorityId,
    ],
  });
  const server = await X509CertificateGenerator.create({
    ...shared,
    serialNumber: serialNumber(),
    subject: 'CN=localhost',
    publicKey: serverKeys.publicKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'dns', value: '*.localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
      await SubjectKeyIdentifierExtension.create(serverKeys.publicKey),
      authorityId,
    ],
  });
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', serverKeys.privateKey));
  return {
    ca: withLineEnd(authority.toString('pem')),
    cert: withLineEnd(server.toString('pem')),
    key: withLineEnd(PemConverter.encode(key, PemConverter.PrivateKeyTag)),
  };
}

/** Positive and 16 octets long (RFC 5280 section 4.1.2.2), and never the same twice. */
function serialNumber(): string {
  return `01${randomBytes(15).toString('hex')}`;
}

/** Several are written one after the other into one file. */
function withLineEnd(pem: string): string {
  return `${pem.trimEnd()}\n`;
}

/** The certificate kept in `directory`, or a new one where there is none, it is damaged, or it ends within 30 days. */
export async function localCertificate(directory: string, now = Date.now()): Promise<StoredCertificate> {
  const caFile = join(directory, 'ca.pem');
  const certFile = join(directory, 'server.pem');
  const keyFile = join(directory, 'server-key.pem');
  const kept = await readKept(directory);
  if (kept && isUsable(kept, now)) return { ...kept, caFile, certFile, keyFile };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const made = await makeCertificate(now);
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
