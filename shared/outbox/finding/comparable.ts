import { normaliseAddress } from '../../accounts/address.ts';

/**
 * An address as it is compared: without regard to letter case in the domain (RFC 5321 section 2.4) and, as people expect,
 * in the part before it too; domains in A-labels (RFC 5890). What is no address is compared as it stands.
 */
export function comparableAddress(address: string): string {
  try {
    return normaliseAddress(address.trim()).normalize('NFC').toLowerCase();
  } catch {
    return address.trim().normalize('NFC').toLowerCase();
  }
}
