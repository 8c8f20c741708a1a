import { domainToASCII } from 'node:url';
import type { Envelope } from '../transport.ts';

/** An address, or a whole mail, that this server cannot be offered, and why. */
export interface Unsendable {
  readonly code: 'INVALID_ADDRESS' | 'SMTPUTF8' | '8BITMIME' | 'SIZE';
  readonly reason: string;
  /** What a person can do, where it is more than the code says. */
  readonly hint?: string;
}

/** An envelope as SMTP carries it. */
export interface SmtpEnvelope {
  readonly from: string;
  /** Every recipient once. */
  readonly to: readonly string[];
  /** The address as SMTP carries it, or why it cannot, for each recipient of the mail, in its order. */
  readonly recipients: readonly (string | Unsendable)[];
  /** Set where the sender itself cannot be offered: then `to` is empty. */
  readonly unsendable?: Unsendable;
}

const invalid: Unsendable = { code: 'INVALID_ADDRESS', reason: 'not an address that SMTP can carry' };
const needsUtf8: Unsendable = { code: 'SMTPUTF8', reason: 'the server does not offer SMTPUTF8' };

/** Whether a text can be sent without SMTPUTF8 (RFC 6531) and 8BITMIME. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is asked for.
export const isAscii = (text: string): boolean => /^[\u0000-\u007f]*$/.test(text);

/** Only the domain can be written in ASCII (RFC 5891); a local part cannot (RFC 6531 section 3.2). */
function asciiDomain(address: string): string {
  const at = address.lastIndexOf('@');
  const domain = address.slice(at + 1);
  if (at < 0 || isAscii(domain)) return address;
  const ascii = domainToASCII(domain);
  return ascii === '' ? address : `${address.slice(0, at)}@${ascii}`;
}

/** Brackets and control characters would end the path early and could carry a command of their own. */
function unsendable(address: string, utf8Offered: boolean): Unsendable | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  if (/[\u0000-\u001f\u007f<>]/.test(address)) return invalid;
  return isAscii(address) || utf8Offered ? undefined : needsUtf8;
}

/**
 * Writes an envelope for a server. An address outside ASCII goes out only where the server offers SMTPUTF8 (RFC 6531);
 * elsewhere it is refused for good, alone: the other recipients go on.
 */
export function smtpEnvelope(envelope: Envelope, options: { readonly utf8Offered: boolean }): SmtpEnvelope {
  const from = asciiDomain(envelope.from);
  const sender = unsendable(from, options.utf8Offered);
  if (sender) return { from, to: [], recipients: envelope.to.map(() => sender), unsendable: sender };
  const recipients = envelope.to.map((address) => {
    const ascii = asciiDomain(address.trim());
    return ascii === '' ? invalid : (unsendable(ascii, options.utf8Offered) ?? ascii);
  });
  const to = new Set(recipients.filter((recipient) => typeof recipient === 'string'));
  return { from, to: [...to], recipients };
}
