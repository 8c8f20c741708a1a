/** What a person can do about an attempt that failed; of a status, or of a code. */
export function hintOf(failure: {
  readonly status?: number | undefined;
  readonly code?: string | undefined;
}): string | undefined {
  const { status, code } = failure;
  if (status !== undefined) return statusHint(status);
  return code === undefined ? undefined : codeHint(code);
}

function statusHint(status: number): string {
  if (status === 410)
    return 'The receiver wants no more events (410). Nothing is sent until the account is saved again.';
  if (status >= 300 && status < 400)
    return 'The receiver answers with another address. Redirects are not followed: name the last address in the account.';
  if (status === 401 || status === 403)
    return 'The receiver refuses the request. Compare the secret with which it verifies signatures, and its clock.';
  if (status === 404 || status === 405) return 'Nothing takes events at this address. Look at its path.';
  if (status === 429) return 'The receiver has too much to do. It is asked again later.';
  return status >= 500 ? 'The receiver failed. Look at its log.' : 'The receiver does not take the event.';
}

const codeHints: readonly (readonly [RegExp, string])[] = [
  [/^TIMEOUT$/, 'No answer came within 15 seconds. Answer first and work on the event afterwards.'],
  [
    /^ADDRESS_REFUSED$/,
    'The name leads to an address that is not of the internet. The operator can allow its network (WEBHOOK_ALLOWED_NETWORKS).',
  ],
  [/^(?:ENOTFOUND|EAI_AGAIN|ENODATA)$/, 'The name of the host cannot be resolved.'],
  [/^ECONNREFUSED$/, 'Nothing listens there.'],
  [/^(?:ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)$/, 'The host cannot be reached from here.'],
  [/^(?:ECONNRESET|EPIPE)$/, 'The connection was closed before an answer came.'],
  [
    /CERT|^SELF_SIGNED|^UNABLE_TO_|^HOSTNAME_MISMATCH|ALTNAME/,
    'The certificate of the receiver is not trusted. It needs one of a public authority, for this name.',
  ],
  [/^(?:EPROTO|ERR_SSL)|SSL|TLS/, 'The receiver does not speak TLS there, or no version that is safe.'],
  [/^HPE_/, 'What answers there does not speak HTTP.'],
  [/^SECRET_MISSING$/, 'The secret that requests are signed with is not in Key Vault, or disabled. Write it.'],
  [/^SECRET_WITHHELD$/, 'The secret belongs to another account, or to another use. Name one of its own.'],
  [/^SECRET_UNUSABLE$/, 'The secret begins with whsec_, and what follows is not base64. Write it again.'],
  [/^SECRET_UNKNOWN$/, 'Key Vault could not be asked for the secret. It is asked again.'],
];

function codeHint(code: string): string | undefined {
  return codeHints.find(([pattern]) => pattern.test(code))?.[1];
}
