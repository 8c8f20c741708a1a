import type { ServerAuth, TlsConfig } from '../../accounts/model.ts';

/** The server that is signed in to: its host says in which cloud an oauth2 account's tokens are made. */
export interface SignInServer {
  readonly protocol: string;
  readonly host: string;
  readonly auth: ServerAuth;
  readonly tls: Pick<TlsConfig, 'starttls'>;
}
