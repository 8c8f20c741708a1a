import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatePem } from './certificate.ts';
import { decryptRc2Cbc } from './rc2.ts';

const run = promisify(execFile);
let dir = '';
let pem = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graph-certificate-'));
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=app'],
    ...['-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')],
  ]);
  pem = `${await readFile(join(dir, 'cert.pem'), 'utf8')}${await readFile(join(dir, 'key.pem'), 'utf8')}`;
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function pfx(...options: readonly string[]): Promise<string> {
  const out = join(dir, 'out.pfx');
  await run('openssl', [
    ...['pkcs12', '-export', '-inkey', join(dir, 'key.pem'), '-in', join(dir, 'cert.pem')],
    ...['-passout', 'pass:', ...options, '-out', out],
  ]);
  return (await readFile(out)).toString('base64');
}

describe('certificatePem', () => {
  it('takes PEM with certificate and key, in any order and with a chain', async () => {
    const other = join(dir, 'other.pem');
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=ca'],
      ...['-keyout', join(dir, 'unused.pem'), '-out', other],
    ]);
    const [certificate, key] = [
      await readFile(join(dir, 'cert.pem'), 'utf8'),
      await readFile(join(dir, 'key.pem'), 'utf8'),
    ];
    const read = await certificatePem(`${key}${await readFile(other, 'utf8')}${certificate}`);
    expect(read).toBe(pem);
  });

  it.each([
    ['AES and PBKDF2', []],
    ['3DES', ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES']],
    ['no encryption', ['-certpbe', 'NONE', '-keypbe', 'NONE']],
  ])('takes PFX in base64, protected by %s', async (_, options) => {
    expect(await certificatePem(await pfx(...options))).toBe(pem);
  });

  it.each(['', 'not base64 at all', Buffer.from('not a PFX').toString('base64'), '-----BEGIN CERTIFICATE-----\nx'])(
    'refuses %j without quoting it',
    async (secret) => {
      const error = await certificatePem(secret).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ kind: 'secret', code: 'CERTIFICATE' });
    },
  );

  it('refuses a PFX cut anywhere', async () => {
    const whole = Buffer.from(await pfx(), 'base64');
    for (let length = 0; length < whole.length; length += 97) {
      const cut = whole.subarray(0, length).toString('base64');
      expect(await certificatePem(cut).catch((thrown: unknown) => thrown)).toMatchObject({ code: 'CERTIFICATE' });
    }
  });
});

describe('decryptRc2Cbc', () => {
  // RFC 2268 section 5, vectors with as many effective key bits as the key has; each is one block of its own.
  it.each([
    ['ffffffffffffffff', 'ffffffffffffffff', '278b27e42e2f0d49'],
    ['3000000000000000', '1000000000000001', '30649edf9be7d2c2'],
    ['88bca90e90875a7f0f79c384627bafb2', '0000000000000000', '2269552ab0f85ca6'],
  ])('decrypts the vector of key %s', (key, plain, encrypted) => {
    const block = Buffer.from(encrypted, 'hex');
    // The initial vector makes seven zeros and a padding of one byte out of the vector's plain text.
    const iv = Buffer.from(plain, 'hex');
    iv[7] = (iv[7] ?? 0) ^ 1;
    expect(decryptRc2Cbc(Buffer.from(key, 'hex'), iv, block)).toEqual(Buffer.alloc(7));
  });
});
