import type { RawReply } from './reply-reader.ts';

/** What a server offers on this connection, by its reply to EHLO (RFC 5321 section 4.1.1.1). */
export interface Capabilities {
  readonly startTls: boolean;
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  /** Offers SIZE (RFC 1870). */
  readonly size: boolean;
  /** Octets of the largest mail, where the server says so. */
  readonly maxSize: number | undefined;
  /** Mechanisms of sign-in, in capitals. */
  readonly mechanisms: readonly string[];
}

/** Beyond the first line, which names the server; some also write `AUTH=LOGIN`, for clients of old. */
export function readCapabilities({ lines }: RawReply): Capabilities {
  const offers = lines.slice(1).map((line) => line.trim().split(/[ \t=]+/));
  const offered = new Set(offers.map(([keyword = '']) => keyword.toUpperCase()));
  const parameters = (name: string) =>
    offers.filter(([keyword = '']) => keyword.toUpperCase() === name).flatMap(([, ...rest]) => rest);
  const limit = Number(/^\d{1,15}$/.exec(parameters('SIZE')[0] ?? '')?.[0] ?? 0);
  return {
    startTls: offered.has('STARTTLS'),
    pipelining: offered.has('PIPELINING'),
    eightBitMime: offered.has('8BITMIME'),
    smtpUtf8: offered.has('SMTPUTF8'),
    dsn: offered.has('DSN'),
    size: offered.has('SIZE'),
    maxSize: limit > 0 ? limit : undefined,
    mechanisms: [...new Set(parameters('AUTH').map((name) => name.toUpperCase()))],
  };
}

/** Of a server that knows no EHLO. */
export const noCapabilities: Capabilities = readCapabilities({ code: 250, lines: [] });
