import type { Endpoint } from '../accounts/destinations.ts';
import { digest } from '../platform/ids.ts';

/** Rows of limits: a partition for each account, and in it a row for each limit. See `AccountLimits` for their tables. */

/** The row of `limits.perMinute`. */
export const rateKey = 'm';

/**
 * The row of `limits.connections` for one server. imap and imaps, or two ports of a host, are one server, which counts
 * them together; transport and store of an account share a row if they speak the same protocol to the same host. On Graph
 * the mailbox is what has a limit.
 */
export function connectionsKey(endpoint: Endpoint): string {
  const prefix = isMailbox(endpoint) ? 'k:' : 'c:';
  const server =
    endpoint.protocol === 'graph'
      ? `graph:${endpoint.userId.toLowerCase()}`
      : `${endpoint.protocol.replace(/s$/, '')}:${endpoint.host.toLowerCase()}`;
  return prefix + digest(24, server);
}

/** Whether mail is fetched by this protocol. */
export function isMailbox({ protocol }: Pick<Endpoint, 'protocol'>): boolean {
  return protocol !== 'smtp' && protocol !== 'smtps';
}
