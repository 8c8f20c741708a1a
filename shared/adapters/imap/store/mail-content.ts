import type { MailContent } from '../../mail-content.ts';
import { StoreError } from '../../store.ts';
import { givesExactSizes } from '../../store-troubles.ts';
import type { Refusal } from '../mailbox.ts';

/**
 * Octets that a whole mail has at least, where the server's count can be believed (RFC 3501 section 2.3.4; many servers
 * count wrongly all the same).
 */
export function expectedSize(serverName: string, size: number | undefined): number | undefined {
  return givesExactSizes(serverName) ? size : undefined;
}

/** The `doubt` of a mail of which fewer octets came than are expected. */
export function shortOf(received: () => number, expected: number | undefined) {
  return { doubt: () => (expected !== undefined && received() < expected ? ('cutShort' as const) : undefined) };
}

/** Never an empty mail where the server counts bytes: it would be stored as such, and its original deleted. */
export function smallContent(body: Buffer | null, size: number | undefined, expected = size): MailContent {
  if (body === null || (body.length === 0 && size !== 0)) return { kind: 'broken', reason: 'empty' };
  return { kind: 'bytes', bytes: body, ...shortOf(() => body.length, expected) };
}

/** Of a mail that the server lists and gives no octets of: whose trouble that is shows when others are asked for. */
export function withheld(refusal: Refusal | undefined): MailContent {
  if (refusal === undefined) return { kind: 'broken', reason: 'noContent', refusal: 'unclear' };
  const { code, passing } = refusal;
  return { kind: 'broken', reason: 'refused', code, refusal: passing ? 'passing' : 'unclear' };
}

/**
 * Codes of a connection that was given up because one mail has more octets than a session takes. A server that answers
 * without end (`ANSWER_SIZE`) is another matter, and no mail's.
 */
const oversizeCodes: ReadonlySet<string> = new Set(['LiteralTooLarge', 'ResponseTooLarge']);

/**
 * What became of a mail that was asked for alone, where the answer was so large that the connection was given up: its own
 * trouble, or it would end every session. Throws any other error.
 */
export function contentTooLarge(error: unknown): MailContent {
  if (!(error instanceof StoreError) || error.code === undefined || !oversizeCodes.has(error.code)) throw error;
  return { kind: 'broken', reason: 'tooMuch', code: error.code };
}
