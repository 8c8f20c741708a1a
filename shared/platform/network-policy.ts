import dns from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = readonly [Address, number];

/** Carries a system-style code, so that it is explained like the system's own. Its text names no address. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
  readonly code = 'ADDRESS_REFUSED';
  constructor() {
    super('the address is not one that this service connects to');
  }
}

/**
 * Where whoever writes an account must not send the service: this machine, what only this network segment reaches, and
 * the platform's own services. RFC 6890, RFC 4291, RFC 3927; Microsoft Learn, "What is IP address 168.63.129.16?".
 * Private networks are not among them: mail servers live there.
 */
export const ownNetworks: readonly string[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '168.63.129.16/32',
  '::/128',
  '::1/128',
  'fe80::/10',
  // The metadata service of another cloud.
  'fd00:ec2::254/128',
];

/** The network of a CIDR; undefined for anything else. A single address is not one. */
function parseNetwork(text: string): Network | undefined {
  // The library also takes shortened addresses, which people read in two ways.
  return isIP(text.split('/')[0] ?? '') !== 0 && ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : undefined;
}

/** Whether a text is a network such as `10.0.0.0/8` or `fd00::/8`. */
export function isNetwork(text: string): boolean {
  return parseNetwork(text) !== undefined;
}

/** Which addresses the service connects to. */
export class NetworkPolicy {
  readonly #refused: readonly Network[];
  readonly #allowed: readonly Network[];

  /** `refused` and, with precedence over it, `allowed`: CIDRs; any other text is passed over. */
  constructor(refused: readonly string[], allowed: readonly string[] = []) {
    this.#refused = networksOf(refused);
    this.#allowed = networksOf(allowed);
  }

  /** Whether an IP address may be connected to, in whatever form it is written. */
  allows(address: string): boolean {
    // An interface may stand behind a link-local address.
    const [text = ''] = address.split('%', 1);
    if (!ipaddr.isValid(text)) return false;
    const forms = formsOf(ipaddr.parse(text));
    if (forms.some((form) => isWithin(form, this.#allowed))) return true;
    return !forms.some((form) => isWithin(form, this.#refused));
  }

  /** Throws AddressRefused for a host that is an address and refused; a name is for `lookup` to judge. */
  checkHost(host: string): void {
    if (isIP(host) !== 0 && !this.allows(host)) throw new AddressRefused();
  }

  /**
   * Looks names up as the system does and gives only addresses that may be connected to: the address that was checked is
   * the one connected to. Fails with AddressRefused where none is left. Forms such as `127.1` are names to Node and
   * addresses to the system, and are judged by what they become.
   */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    dns.lookup(hostname, { ...options, all: true }, (error, found) => {
      const allowed = (found ?? []).filter(({ address }) => this.allows(address));
      const first = allowed[0];
      if (error) callback(error, '', 0);
      else if (!first) callback(new AddressRefused(), '', 0);
      else if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function networksOf(texts: readonly string[]): readonly Network[] {
  return texts.map(parseNetwork).filter((network) => network !== undefined);
}

function isWithin(address: Address, networks: readonly Network[]): boolean {
  return networks.some(([base, bits]) => {
    if (address instanceof ipaddr.IPv4) return base instanceof ipaddr.IPv4 && address.match(base, bits);
    return base instanceof ipaddr.IPv6 && address.match(base, bits);
  });
}

/**
 * The address, and the IPv4 addresses within an IPv6 one that lead to the same host: mapped and compatible (RFC 4291
 * section 2.5.5), translated (RFC 6052, RFC 8215), and tunnelled (RFC 3056, RFC 4380).
 */
function formsOf(address: Address): readonly Address[] {
  if (address instanceof ipaddr.IPv4) return [address];
  const bytes = address.toByteArray();
  const at = (offset: number, mask = 0) => new ipaddr.IPv4(bytes.slice(offset, offset + 4).map((byte) => byte ^ mask));
  const startsWith = (...prefix: number[]) => prefix.every((byte, index) => bytes[index] === byte);
  const zeros = Array<number>(10).fill(0);
  const forms: Address[] = [address];
  if (
    startsWith(...zeros, 0xff, 0xff) ||
    startsWith(...zeros, 0, 0) ||
    startsWith(...zeros.slice(0, 8), 0xff, 0xff, 0, 0)
  )
    forms.push(at(12));
  if (startsWith(0, 0x64, 0xff, 0x9b)) forms.push(at(12));
  if (startsWith(0x20, 0x02)) forms.push(at(2));
  if (startsWith(0x20, 0x01, 0, 0)) forms.push(at(12, 0xff));
  return forms;
}
