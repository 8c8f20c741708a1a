import { domainToASCII } from 'node:url';
import type { Envelope } from '../transport.ts';

/** An address that no server can be offered, and why. */
export interface Unsendable {
  readonly code: 'INVALID_ADDRESS' | 'SMTPUTF8';
  readonly reason: string;
}

/** An envelope as it goes out. */
export interface WireEnvelope {
  readonly from: string;
  /** Every recipient once. */
  readonly to: readonly string[];
  /** The address on the wire, or why there is none, for each recipient of the mail, in its order. */
  readonly recipients: readonly (string | Unsendable)[];
  /** Set where the sender itself cannot be offered: then `to` is empty. */
  readonly sender?: Unsendable;
}

const invalid: Unsendable = { code: 'INVALID_ADDRESS', reason: 'not an address that SMTP can carry' };
const needsUtf8: Unsendable = { code: 'SMTPUTF8', reason: 'the server does not offer SMTPUTF8' };

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is asked for.
const isAscii = (text: string): boolean => /^[\u0000-\u007f]*$/.test(text);

/** Only the domain can be written in ASCII (RFC 5891); a local part cannot (RFC 6531 section 3.2). */
function wireForm(address: string): string {
  const at = address.lastIndexOf('@');
  const domain = address.slice(at + 1);
  if (at < 0 || isAscii(domain)) return address;
  const ascii = domainToASCII(domain);
  return ascii === '' ? address : `${address.slice(0, at)}@${ascii}`;
}

/** Brackets and control characters would end the path early and could carry a command of their own. */
function unsendable(wire: string, utf8Offered: boolean): Unsendable | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  if (/[\u0000-\u001f\u007f<>]/.test(wire)) return invalid;
  return isAscii(wire) || utf8Offered ? undefined : needsUtf8;
}

/**
 * Writes an envelope for a server. An address outside ASCII goes out only where the server offers SMTPUTF8 (RFC 6531);
 * elsewhere it is refused for good, alone: the other recipients go on.
 */
export function wireEnvelope(envelope: Envelope, options: { readonly utf8Offered: boolean }): WireEnvelope {
  const from = wireForm(envelope.from);
  const sender = unsendable(from, options.utf8Offered);
  if (sender) return { from, to: [], recipients: envelope.to.map(() => sender), sender };
  const recipients = envelope.to.map((address) => {
    const wire = wireForm(address.trim());
    return wire === '' ? invalid : (unsendable(wire, options.utf8Offered) ?? wire);
  });
  const to = new Set(recipients.filter((recipient) => typeof recipient === 'string'));
  return { from, to: [...to], recipients };
}
