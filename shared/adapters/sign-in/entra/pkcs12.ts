import {
  createDecipheriv,
  createHash,
  createPrivateKey,
  type KeyObject,
  pbkdf2Sync,
  X509Certificate,
} from 'node:crypto';
import { decryptRc2Cbc } from './rc2.ts';

/** Certificate and key of a PFX file; all PEM. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

/** Iterations believed; more would only cost time. */
const maxIterations = 2_000_000;

const oids = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  pbes2: '1.2.840.113549.1.5.13',
} as const;

/** PKCS #12 password based encryption (RFC 7292 appendix C): cipher, key and initial vector in bytes. */
const oldSchemes: Readonly<Record<string, { readonly cipher: string; readonly key: number; readonly iv: number }>> = {
  '1.2.840.113549.1.12.1.3': { cipher: 'des-ede3-cbc', key: 24, iv: 8 },
  '1.2.840.113549.1.12.1.5': { cipher: 'rc2-128', key: 16, iv: 8 },
  '1.2.840.113549.1.12.1.6': { cipher: 'rc2-40', key: 5, iv: 8 },
};

const ciphers: Readonly<Record<string, { readonly cipher: string; readonly key: number }>> = {
  '2.16.840.1.101.3.4.1.2': { cipher: 'aes-128-cbc', key: 16 },
  '2.16.840.1.101.3.4.1.22': { cipher: 'aes-192-cbc', key: 24 },
  '2.16.840.1.101.3.4.1.42': { cipher: 'aes-256-cbc', key: 32 },
  '1.2.840.113549.3.7': { cipher: 'des-ede3-cbc', key: 24 },
};

const hashes: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};

/**
 * Reads a PFX file without a password, as Key Vault gives its certificates out (PKCS #12, RFC 7292). Its MAC is not
 * checked: with an empty password anybody could make one. Throws where it cannot be read.
 */
export function readPfx(pfx: Buffer): Identity {
  const [, authSafe] = children(parse(pfx));
  const keys: KeyObject[] = [];
  const certificates: X509Certificate[] = [];
  for (const content of children(parse(contentOf(authSafe)))) {
    const [type, body] = children(content);
    const safe = oidOf(type) === oids.encryptedData ? decryptSafe(body) : contentOf(content);
    for (const bag of children(parse(safe))) {
      const [kind, value] = children(bag);
      const inner = children(value)[0];
      if (!inner) continue;
      const id = oidOf(kind);
      if (id === oids.keyBag) keys.push(createPrivateKey({ key: inner.whole, format: 'der', type: 'pkcs8' }));
      if (id === oids.shroudedKeyBag) keys.push(shroudedKey(inner));
      if (id === oids.certBag) certificates.push(new X509Certificate(certOf(inner)));
    }
  }
  for (const key of keys) {
    const own = certificates.find((certificate) => certificate.checkPrivateKey(key));
    // The chain is not needed: Entra knows the leaf by its thumbprint.
    if (own) return { certificate: own.toString(), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
  }
  throw new Error('no certificate with its private key');
}

function certOf(bag: Der): Buffer {
  const [, value] = children(bag);
  const content = value && children(value)[0];
  if (!content) throw new Error('a certificate bag without certificate');
  return content.content;
}

function shroudedKey(bag: Der): KeyObject {
  const [scheme, data] = children(bag);
  if (!scheme || !data) throw new Error('an encrypted key without content');
  return createPrivateKey({ key: decrypt(scheme, data.content), format: 'der', type: 'pkcs8' });
}

/** EncryptedData of PKCS #7 (RFC 2315 section 13), of which the content is what a safe holds. */
function decryptSafe(explicit: Der | undefined): Buffer {
  const encrypted = explicit && children(explicit)[0];
  const info = encrypted && children(encrypted)[1];
  const [, scheme, data] = info ? children(info) : [];
  if (!scheme || !data) throw new Error('an encrypted safe without content');
  // IMPLICIT [0] OCTET STRING, in one piece or several.
  return decrypt(scheme, octets(data));
}

function decrypt(scheme: Der, data: Buffer): Buffer {
  const [id, parameters] = children(scheme);
  const name = oidOf(id);
  if (!parameters) throw new Error('an encryption without parameters');
  if (name === oids.pbes2) return decryptPbes2(parameters, data);
  const old = oldSchemes[name];
  if (!old) throw new Error('an encryption that is not known here');
  const [salt, count] = children(parameters);
  const iterations = numberOf(count);
  // An empty password as a BMPString with its terminating zero, as every tool writes it.
  const password = Buffer.from([0, 0]);
  const derive = (purpose: number, length: number) =>
    derivePkcs12({ purpose, length, password, salt: salt?.content ?? Buffer.alloc(0), iterations });
  const key = derive(1, old.key);
  const iv = derive(2, old.iv);
  if (old.cipher.startsWith('rc2')) return decryptRc2Cbc(key, iv, data);
  const decipher = createDecipheriv(old.cipher, key, iv);
  return Buffer.concat([decipher.update(data), decipher.final()]);
}

/** RFC 8018 section 6.2. */
function decryptPbes2(parameters: Der, data: Buffer): Buffer {
  const [derivation, encryption] = children(parameters);
  const derivationParameters = derivation && children(derivation)[1];
  const [salt, count, ...rest] = derivationParameters ? children(derivationParameters) : [];
  const [cipherId, iv] = encryption ? children(encryption) : [];
  const cipher = ciphers[oidOf(cipherId)];
  if (!cipher || !salt || !iv) throw new Error('an encryption that is not known here');
  const prf = rest.find((each) => each.tag === 0x30);
  const hash = prf === undefined ? 'sha1' : hashes[oidOf(children(prf)[0])];
  if (hash === undefined) throw new Error('a key derivation that is not known here');
  const key = pbkdf2Sync('', salt.content, numberOf(count), cipher.key, hash);
  const decipher = createDecipheriv(cipher.cipher, key, iv.content);
  return Buffer.concat([decipher.update(data), decipher.final()]);
}

interface Derivation {
  /** 1: a key; 2: an initial vector. */
  readonly purpose: number;
  readonly length: number;
  readonly password: Buffer;
  readonly salt: Buffer;
  readonly iterations: number;
}

/** RFC 7292 appendix B.2 with SHA-1 (u = 20, v = 64). */
function derivePkcs12({ purpose, length, password, salt, iterations }: Derivation): Buffer {
  const block = 64;
  const stretch = (bytes: Buffer) =>
    bytes.length === 0 ? bytes : Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes);
  const input = Buffer.concat([stretch(salt), stretch(password)]);
  const result: Buffer[] = [];
  for (let made = 0; made < length; made += 20) {
    let hash = createHash('sha1').update(Buffer.alloc(block, purpose)).update(input).digest();
    for (let round = 1; round < iterations; round++) hash = createHash('sha1').update(hash).digest();
    result.push(hash);
    const addend = Buffer.alloc(block, hash);
    for (let at = 0; at < input.length; at += block) {
      let carry = 1;
      for (let index = block - 1; index >= 0; index--) {
        const sum = (input[at + index] ?? 0) + (addend[index] ?? 0) + carry;
        input[at + index] = sum & 0xff;
        carry = sum >> 8;
      }
    }
  }
  return Buffer.concat(result).subarray(0, length);
}

/** A value of DER or of the definite form of BER (ITU-T X.690). */
interface Der {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

function parse(bytes: Buffer): Der {
  const tag = bytes[0];
  const short = bytes[1];
  if (tag === undefined || short === undefined || (tag & 0x1f) === 0x1f) throw new Error('not DER');
  const more = short & 0x80 ? short & 0x7f : 0;
  if (short === 0x80 || more > 4 || bytes.length < 2 + more) throw new Error('not DER');
  const length = more === 0 ? short : bytes.readUIntBE(2, more);
  const start = 2 + more;
  if (bytes.length < start + length) throw new Error('DER that ends early');
  return { tag, content: bytes.subarray(start, start + length), whole: bytes.subarray(0, start + length) };
}

function children(value: Der | undefined): readonly Der[] {
  const found: Der[] = [];
  for (let rest = value?.content ?? Buffer.alloc(0); rest.length > 0; ) {
    const child = parse(rest);
    found.push(child);
    rest = rest.subarray(child.whole.length);
  }
  return found;
}

/** Octets of a string that may have been cut into pieces. */
function octets(value: Der): Buffer {
  return value.tag & 0x20 ? Buffer.concat(children(value).map(octets)) : value.content;
}

/** The content of a PKCS #7 ContentInfo of type data. */
function contentOf(info: Der | undefined): Buffer {
  const [type, explicit] = children(info);
  const inner = explicit && children(explicit)[0];
  if (oidOf(type) !== oids.data || !inner) throw new Error('not a PFX file');
  return octets(inner);
}

function numberOf(value: Der | undefined): number {
  const number =
    value?.tag === 0x02 && value.content.length <= 5 ? value.content.readUIntBE(0, value.content.length) : 0;
  if (number < 1 || number > maxIterations) throw new Error('a number of iterations that makes no sense');
  return number;
}

function oidOf(value: Der | undefined): string {
  if (value?.tag !== 0x06) return '';
  const parts: number[] = [];
  let part = 0;
  for (const byte of value.content) {
    part = part * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    if (parts.length === 0)
      parts.push(Math.min(2, Math.floor(part / 40)), part - 40 * Math.min(2, Math.floor(part / 40)));
    else parts.push(part);
    part = 0;
  }
  return parts.join('.');
}
