import { X509Certificate } from 'node:crypto';

/** The certificates of a PEM bundle. Throws where there is none or one is broken: OpenSSL would pass over them silently. */
export function certificatesOf(bundle: string): string[] {
  const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error('no certificate in the bundle');
  return blocks.map((block) => new X509Certificate(block).toString());
}

/** Whether a `tls.ca` can be used. */
export function isReadableBundle(bundle: string): boolean {
  try {
    return certificatesOf(bundle).length > 0;
  } catch {
    return false;
  }
}
