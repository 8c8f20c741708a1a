/**
 * What to do where a server offers no STARTTLS and the account signs in: for a person. `secureName`: the protocol with TLS
 * from the start. A token is never sent unencrypted (see `tokenRefusal`), so nothing that allows it is named.
 */
export function openConnectionHint(secret: 'password' | 'token', secureName: string): string {
  return secret === 'token'
    ? `An access token does not cross an open connection. Use ${secureName}.`
    : `A password does not cross an open connection. Use ${secureName}, or set tls.starttls to never to send it all the same.`;
}
