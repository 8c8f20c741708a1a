import type { MailContent } from '../mail-content.ts';
import type { ListedMail } from '../store.ts';
import { givesExactSizes } from '../store-troubles.ts';
import type { Body } from './body.ts';
import type { Maildrop } from './maildrop.ts';
import { replyError } from './pop3-errors.ts';
import { isPassing, type Reply } from './replies.ts';

/** A mail may be this much larger than LIST says and is held all the same; beyond it, it is streamed. */
const MISCOUNT = 1024 * 1024;

/** Ends a row of commands, and with it the session, at a mail too large to be held. */
export class Miscounted extends Error {}

/** The `doubt` of a mail of which fewer octets came than LIST said. */
export function shortOf({ connection }: Maildrop, body: Body) {
  const exact = givesExactSizes(connection.serverName);
  return { doubt: () => (exact && body.short ? ('cutShort' as const) : undefined) };
}

/** A small mail, as the answer to RETR goes on. Throws Miscounted. */
export async function wholeMail(
  maildrop: Maildrop,
  mail: ListedMail,
  reply: Reply,
  signal: AbortSignal,
): Promise<MailContent> {
  const { size } = mail;
  if (reply.status !== 'ok') return refused(reply);
  const body = maildrop.connection.body('RETR', size);
  const pieces: Buffer[] = [];
  for (let octets = await body.next(signal); octets; octets = await body.next(signal)) {
    pieces.push(octets);
    if (body.received > (size ?? 0) + MISCOUNT) throw new Miscounted();
  }
  const [first] = pieces;
  // Never an empty mail where the server counts octets: it would be stored as such, and its original deleted.
  if (first === undefined && size !== 0) return { kind: 'broken', reason: 'empty' };
  const bytes = pieces.length === 1 && first ? first : Buffer.concat(pieces);
  return { kind: 'bytes', bytes, ...shortOf(maildrop, body) };
}

/** Of a message that this very session lists, it proves nothing (RFC 1939 section 5, RETR). */
const noSuchMessage = /no such|not found|does not exist|doesn't exist|unknown message/i;

/** A mail that the server does not give. Whose trouble it is shows when others are asked for. */
export function refused(reply: Reply): MailContent {
  const failure = replyError(reply, 'to give this mail');
  if (failure.kind === 'throttled') throw failure;
  const passing = isPassing(reply) || failure.kind === 'connection' || noSuchMessage.test(reply.text);
  return { kind: 'broken', reason: 'refused', code: failure.code ?? 'ERR', refusal: passing ? 'passing' : 'unclear' };
}
