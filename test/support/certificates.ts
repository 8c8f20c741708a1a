import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Certificates made for one test run. `ca`, `cert` and `key` are PEM texts; the paths name the same in files. */
export interface TestCertificates {
  readonly caPath: string;
  readonly ca: string;
  readonly certPath: string;
  readonly cert: string;
  readonly keyPath: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** `good` names localhost and 127.0.0.1. `wrongHost` names another host, `expired` ended in 2020. */
  readonly variant?: 'good' | 'expired' | 'wrongHost' | 'selfSigned';
}

const subjectNames = { good: 'DNS:localhost,IP:127.0.0.1', wrongHost: 'DNS:elsewhere.invalid' } as const;

/**
 * Makes a certificate authority and a server certificate with the openssl command, in `dir`. Keys are elliptic (P-256),
 * since an RSA key takes longer to make than most tests take to run. A `selfSigned` certificate is its own authority.
 */
export async function makeTestCertificates(dir: string, options: CertificateOptions = {}): Promise<TestCertificates> {
  const variant = options.variant ?? 'good';
  await mkdir(dir, { recursive: true });
  const path = (name: string) => join(dir, `${variant}-${name}.pem`);
  const names = variant === 'wrongHost' ? subjectNames.wrongHost : subjectNames.good;
  if (variant === 'selfSigned') {
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'],
      ...['-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`],
      ...['-keyout', path('key'), '-out', path('cert')],
    ]);
    return readAll(path('cert'), path('cert'), path('key'));
  }
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'],
    ...['-subj', '/CN=Mailroom test authority', '-keyout', path('ca-key'), '-out', path('ca')],
  ]);
  await run('openssl', [
    ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-subj', '/CN=localhost', '-keyout', path('key'), '-out', path('request')],
  ]);
  await signRequest(dir, variant, path, names);
  return readAll(path('ca'), path('cert'), path('key'));
}

/** `openssl ca` and not `openssl x509`: only the former takes an end date in the past. */
async function signRequest(dir: string, variant: string, path: (name: string) => string, names: string): Promise<void> {
  const settings = join(dir, `${variant}-ca.cnf`);
  const database = join(dir, `${variant}-index.txt`);
  await writeFile(database, '');
  await writeFile(
    settings,
    [
      '[ca]',
      'default_ca = test',
      '[test]',
      `database = ${database}`,
      `new_certs_dir = ${dir}`,
      'default_md = sha256',
      'rand_serial = yes',
      'policy = any',
      'x509_extensions = server',
      '[any]',
      'commonName = supplied',
      '[server]',
      `subjectAltName = ${names}`,
      'extendedKeyUsage = serverAuth',
      '',
    ].join('\n'),
  );
  const validity =
    variant === 'expired' ? ['-startdate', '20190101000000Z', '-enddate', '20200101000000Z'] : ['-days', '30'];
  await run('openssl', [
    ...['ca', '-batch', '-notext', '-config', settings, '-cert', path('ca'), '-keyfile', path('ca-key')],
    ...['-in', path('request'), '-out', path('cert'), ...validity],
  ]);
}

async function readAll(caPath: string, certPath: string, keyPath: string): Promise<TestCertificates> {
  const [ca, cert, key] = await Promise.all([caPath, certPath, keyPath].map((path) => readFile(path, 'utf8')));
  if (ca === undefined || cert === undefined || key === undefined) throw new Error('openssl left a file out');
  return { caPath, ca, certPath, cert, keyPath, key };
}
