import { createPrivateKey, X509Certificate } from 'node:crypto';
import { CredentialsError } from '../credentials-error.ts';
import type { Identity } from './pkcs12.ts';

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const keyBlock = /-----BEGIN (?:RSA |EC )?PRIVATE KEY-----[^-]+-----END (?:RSA |EC )?PRIVATE KEY-----/;

function readPem(text: string): Identity {
  const key = createPrivateKey(keyBlock.exec(text)?.[0] ?? '');
  const own = (text.match(certificateBlock) ?? [])
    .map((block) => new X509Certificate(block))
    .find((certificate) => certificate.checkPrivateKey(key));
  if (!own) throw new Error('no certificate for the key');
  return { certificate: own.toString(), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/**
 * Certificate and private key from an account's secret: PEM text with both, or a PFX file without password in base64,
 * as Key Vault keeps its certificates. Answers them as one PEM text. Throws CredentialsError `secret`, without a
 * word of the secret.
 */
export async function certificatePem(secret: string): Promise<string> {
  const { readPfx } = await import('./pkcs12.ts');
  try {
    const pem = secret.includes('-----BEGIN ');
    const { certificate, key } = pem ? readPem(secret) : readPfx(Buffer.from(secret, 'base64'));
    return `${certificate.trim()}\n${key.trim()}\n`;
  } catch {
    // The library's error might quote what it read.
    throw new CredentialsError('secret', 'the certificate of the credential cannot be read', {
      code: 'CERTIFICATE',
      hint: 'Store certificate and private key as PEM without a password, or as a PFX file without a password in base64.',
    });
  }
}
