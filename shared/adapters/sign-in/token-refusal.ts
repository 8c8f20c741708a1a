import { CredentialsError } from './credentials-error.ts';
import { isExchangeHost } from './entra/place.ts';
import type { SignInServer } from './sign-in-server.ts';

/** Why a server gets no access token; undefined where it may have one. */
export type TokenRefusal = (server: SignInServer) => CredentialsError | undefined;

/**
 * A token opens every mailbox that the app may use, and whoever has it can show it to Exchange: it goes to Exchange
 * Online's own servers, and to `hosts` (lower case), which the operator allows. It is never sent unencrypted.
 */
export function tokenRefusal(hosts: readonly string[] = []): TokenRefusal {
  return ({ protocol, host, tls }) => {
    const name = host.toLowerCase().replace(/\.$/, '');
    if (!isExchangeHost(name) && !hosts.includes(name)) {
      return new CredentialsError('secret', `${host} gets no access token: it is no server of Exchange Online`, {
        code: 'TOKEN_HOST',
        hint: 'Use outlook.office365.com or smtp.office365.com, or a password. An operator can allow another host by MAIL_OAUTH2_HOSTS.',
      });
    }
    if (!protocol.endsWith('s') && tls.starttls === 'never') {
      return new CredentialsError('secret', 'an access token is not sent unencrypted', {
        code: 'TOKEN_UNENCRYPTED',
        hint: 'Set tls.starttls to required, or use the protocol with TLS from the start.',
      });
    }
    return undefined;
  };
}
