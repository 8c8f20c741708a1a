import type { ContentDoubt } from '../../mail-content.ts';
import type { HttpAnswer } from '../http-exchange.ts';

/** What Graph, and what stands in front of it, call MIME; an answer without a type is taken for what it holds. */
const mailTypes: ReadonlySet<string> = new Set(['', 'text/plain', 'message/rfc822', 'application/octet-stream']);

/** Whether an answer says that it is something else than a mail: JSON, or a page of something in between. */
export function hasForeignType(answer: HttpAnswer): boolean {
  const type = (answer.header('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return !mailTypes.has(type);
}

/** Whether it begins like JSON or HTML, whatever it says that it is: no header field does. */
export function looksForeign(head: Buffer): boolean {
  const first = head.subarray(0, 1_000).toString('latin1').trimStart().charAt(0);
  return first === '{' || first === '<';
}

/** Whether its end can be known: one that ends with its connection may have been cut anywhere (RFC 9112 section 6.3). */
function hasKnownEnd(answer: HttpAnswer): boolean {
  return answer.header('content-length') !== undefined || answer.header('transfer-encoding') !== undefined;
}

/** What is doubtful about content that came in good order. `head`: its beginning, with the header; `messageId` as listed. */
export function doubtOf(answer: HttpAnswer, head: Buffer, messageId: string | undefined): ContentDoubt | undefined {
  if (!hasKnownEnd(answer)) return 'cutShort';
  const listed = bareId(messageId ?? '');
  const own = messageIds(head);
  return listed !== undefined && own.length > 0 && !own.includes(listed) ? 'otherMail' : undefined;
}

function bareId(field: string): string | undefined {
  return /<([^<>\s]{1,998})>/.exec(field)?.[1];
}

/** The ids of the Message-ID fields of the header section; fields without one are left out. */
function messageIds(head: Buffer): readonly string[] {
  const text = head.toString('latin1');
  const end = /\r?\n\r?\n/.exec(text)?.index ?? text.length;
  return [...text.slice(0, end).matchAll(/^message-id:((?:[^\r\n]|\r?\n[ \t])*)/gim)].flatMap(
    ([, value = '']) => bareId(value) ?? [],
  );
}
