import type { DequeuedMessageItem } from '@azure/storage-queue';
import type { TypedData } from './core-types.ts';
import type { QueueOptions } from './host-json.ts';

/** The text of a stored message; undefined when it is not in the encoding expected (raw text where base64 should be). */
export function decodeMessage(stored: string, encoding: QueueOptions['messageEncoding']): string | undefined {
  if (encoding === 'none') return stored;
  const bytes = Buffer.from(stored, 'base64');
  // Node skips what is not base64; .NET refuses it. White space is the one thing both pass over.
  const same = bytes.toString('base64') === stored || bytes.toString('base64') === stored.replace(/\s+/g, '');
  return same ? bytes.toString('utf8') : undefined;
}

/** What a queue function sees as `context.triggerMetadata`, and the top-level fields of a JSON object body. */
export function queueTriggerMetadata(
  message: Pick<
    DequeuedMessageItem,
    'messageId' | 'popReceipt' | 'dequeueCount' | 'insertedOn' | 'expiresOn' | 'nextVisibleOn'
  >,
  text: string,
): Record<string, TypedData> {
  return {
    ...bodyFields(text),
    QueueTrigger: { string: text },
    DequeueCount: { json: String(message.dequeueCount) },
    Id: { string: message.messageId },
    PopReceipt: { string: message.popReceipt },
    InsertionTime: { json: dateJson(message.insertedOn) },
    ExpirationTime: { json: dateJson(message.expiresOn) },
    NextVisibleTime: { json: dateJson(message.nextVisibleOn) },
  };
}

/** A JSON string of .NET's round-trip form for a DateTimeOffset in UTC, without the fraction when it is zero. */
function dateJson(date: Date): string {
  return JSON.stringify(date.toISOString().replace(/(\.000)?Z$/, '+00:00'));
}

function bodyFields(text: string): Record<string, TypedData> {
  if (!text.trimStart().startsWith('{')) return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return {};
  }
  if (typeof body !== 'object' || body === null) return {};
  const fields: Record<string, TypedData> = Object.create(null);
  for (const [name, value] of Object.entries(body)) {
    if (value !== null) fields[name] = { string: typeof value === 'string' ? value : JSON.stringify(value) };
  }
  return fields;
}
