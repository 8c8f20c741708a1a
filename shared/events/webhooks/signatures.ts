import { Webhook as Signer } from 'standardwebhooks';

/** After a rotation requests are signed with the version before as well, for so long. In ms. */
export const rotationMs = 24 * 3_600_000;

/** Versions that requests are signed with at most: a secret that is written over and over must not make endless headers. */
export const maxVersions = 5;

/** Requests cannot be signed with this secret. The error's text does not show it. */
export class UnusableSecret extends Error {
  override readonly name = 'UnusableSecret';
}

/** What a request is signed for. */
export interface SignedContent {
  /** `webhook-id`: stays the same in every attempt. */
  readonly id: string;
  /** Of this attempt. */
  readonly at: Date;
  readonly body: string;
}

/**
 * The headers of a request by Standard Webhooks: one signature for each secret, the newest first, any of which the receiver
 * may verify. Throws UnusableSecret.
 */
export function signatureHeaders(
  secrets: readonly string[],
  { id, at, body }: SignedContent,
): Readonly<Record<string, string>> {
  const signatures = secrets.slice(0, maxVersions).map((secret) => signer(secret).sign(id, at, body));
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': signatures.join(' '),
  };
}

/** `whsec_` and base64 is the form of Standard Webhooks; any other text is a key by its own bytes in UTF-8. */
function signer(secret: string): Signer {
  try {
    return secret.startsWith('whsec_') ? new Signer(secret) : new Signer(Buffer.from(secret), { format: 'raw' });
  } catch {
    throw new UnusableSecret('The secret begins with whsec_, and what follows is no base64');
  }
}
