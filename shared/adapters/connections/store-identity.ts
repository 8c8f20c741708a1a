import { defaultPorts, type ServerConfig } from '../../accounts/model.ts';

/** `imap`, `imaps`: one family, in which a mailbox stays the same one whichever of the two the account uses. */
type Family = 'imap' | 'pop3';

/**
 * `SourceId.store` of a mail server's mailbox: `{family}://{user}@{host}`, so that it stays the same one when an account
 * changes from imap to imaps. A port of its own is part of it: two servers on one host may have made their folders in the
 * same second, and so with the same UIDVALIDITY.
 */
export function storeIdentity(
  family: Family,
  { host, port, auth }: Pick<ServerConfig, 'host' | 'port' | 'auth'>,
): string {
  const usual = port === undefined || port === defaultPorts[family] || port === defaultPorts[`${family}s`];
  const place = `${host.toLowerCase()}${usual ? '' : `:${port}`}`;
  return auth.type === 'none' ? `${family}://${place}` : `${family}://${auth.user}@${place}`;
}
