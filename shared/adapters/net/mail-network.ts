import { NetworkPolicy, ownNetworks } from '../../platform/network-policy.ts';

export type { NetworkPolicy } from '../../platform/network-policy.ts';

const closed = new NetworkPolicy(ownNetworks);

/**
 * Where mail servers may be: anywhere but on this machine and on what belongs to the platform, unless the operator allows
 * it (`MAIL_ALLOWED_NETWORKS`, CIDRs).
 */
export function mailNetwork(allowed: readonly string[] = []): NetworkPolicy {
  return allowed.length === 0 ? closed : new NetworkPolicy(ownNetworks, allowed);
}
