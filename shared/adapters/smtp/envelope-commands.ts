import type { Dsn } from '../../accounts/dsn.ts';
import type { Capabilities } from './capabilities.ts';

/** What MAIL says of a mail. */
export interface MailParameters {
  readonly dsn: Dsn | undefined;
  /** Octets. */
  readonly size: number;
  readonly smtpUtf8: boolean;
}

/** RFC 3461 section 4: printable ASCII but `+` and `=`; the rest in hexadecimal. */
function xtext(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((octet) =>
      octet >= 33 && octet <= 126 && octet !== 0x2b && octet !== 0x3d
        ? String.fromCharCode(octet)
        : `+${octet.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

/** MAIL with what the server offers: RFC 6531, RFC 6152, RFC 1870, RFC 3461. */
export function mailCommand(from: string, { dsn, size, smtpUtf8 }: MailParameters, offered: Capabilities): string {
  const parameters = [
    smtpUtf8 && offered.smtpUtf8 ? 'SMTPUTF8' : undefined,
    // Mail may be 8-bit, and the declaration does no harm where it is not (RFC 6152 section 3).
    offered.eightBitMime ? 'BODY=8BITMIME' : undefined,
    offered.size ? `SIZE=${size}` : undefined,
    offered.dsn && dsn?.ret ? `RET=${dsn.ret === 'headers' ? 'HDRS' : 'FULL'}` : undefined,
    offered.dsn && dsn?.envid ? `ENVID=${xtext(dsn.envid)}` : undefined,
  ].filter((parameter) => parameter !== undefined);
  return [`MAIL FROM:<${from}>`, ...parameters].join(' ');
}

/** RCPT with the notifications that are asked for, where the server offers DSN (RFC 3461). */
export function recipientCommand(address: string, dsn: Dsn | undefined, offered: Capabilities): string {
  const asked = dsn?.notify ?? [];
  // NEVER stands alone (RFC 3461 section 4.1).
  const notify = asked.includes('never') ? ['never'] : asked;
  const parameter = offered.dsn && notify.length > 0 ? ` NOTIFY=${notify.join(',').toUpperCase()}` : '';
  return `RCPT TO:<${address}>${parameter}`;
}
