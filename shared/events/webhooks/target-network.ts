import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { untilAborted } from '../../platform/abort.ts';
import { NetworkPolicy, ownNetworks } from '../../platform/network-policy.ts';

/**
 * Networks that are not the internet's, beside those of the machine itself: whoever may edit an account must not reach
 * into the operator's network by it. IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), multicast (RFC
 * 5771, RFC 4291), and all that is not given out as global unicast, which is 2000::/3 alone (RFC 4291 section 2.4).
 */
const refusedNetworks: readonly string[] = [
  ...ownNetworks,
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '64:ff9b:1::/48',
  '100::/8',
  '200::/7',
  '400::/6',
  '800::/5',
  '1000::/4',
  '2001::/23',
  '2001:db8::/32',
  '3fff::/20',
  '4000::/2',
  '8000::/1',
];

const everyNetwork: readonly string[] = ['0.0.0.0/0', '::/0'];

/** Longest name look-up while an account is saved, in ms. */
const resolveMs = 5_000;

/** What was found out about a target: that it cannot be one, or that this is not certain. */
export type TargetFinding = { readonly mistake: string } | { readonly warning: string } | undefined;

const refusedDetail =
  'does not lead to an address of the internet; the operator can allow its network (WEBHOOK_ALLOWED_NETWORKS)';

/** Which targets a webhook may have. `allowed`: CIDRs of `WEBHOOK_ALLOWED_NETWORKS`, where also http may be used. */
export class TargetNetwork {
  readonly #https: NetworkPolicy;
  readonly #http: NetworkPolicy;

  constructor(allowed: readonly string[]) {
    this.#https = new NetworkPolicy(refusedNetworks, allowed);
    // Nothing but what is allowed.
    this.#http = new NetworkPolicy(everyNetwork, allowed);
  }

  /** Which addresses a connection to the target may have. */
  policy(url: URL): NetworkPolicy {
    return url.protocol === 'https:' ? this.#https : this.#http;
  }

  /**
   * Checks a target as it is saved. A name must lead to allowed addresses alone. One that leads nowhere now is taken
   * with a warning over https: every connection is checked by the same rule again. The URL is one that the schema took.
   */
  async check(text: string, signal: AbortSignal): Promise<TargetFinding> {
    const url = new URL(text);
    const policy = this.policy(url);
    const host = hostOf(url);
    const addresses = isIP(host) !== 0 ? [host] : await resolved(host, signal);
    if (addresses.some((address) => !policy.allows(address))) {
      const isOpen = addresses.every((address) => this.#https.allows(address));
      return { mistake: isOpen ? 'must be https' : refusedDetail };
    }
    if (addresses.length > 0) return undefined;
    return url.protocol === 'https:'
      ? { warning: 'the name of its host could not be resolved; each delivery tries again' }
      : { mistake: 'must be https' };
  }
}

/** The host of a URL as it is connected to: IPv6 addresses without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

async function resolved(host: string, signal: AbortSignal): Promise<readonly string[]> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(resolveMs)]);
    return (await untilAborted(lookup(host, { all: true }), limit)).map(({ address }) => address);
  } catch {
    signal.throwIfAborted();
    return [];
  }
}
