/** A Message-ID fits a line (RFC 5322 section 2.1.1). */
const MAX_MESSAGE_ID = 998;

/** All ids in angle brackets, in their order. */
export function messageIds(text: string): string[] {
  return text.match(/<[^<>\s]{1,996}>/g) ?? [];
}

/** The first id in angle brackets; without any, the value as it stands. Undefined where there is nothing. */
export function firstMessageId(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const found = messageIds(text)[0] ?? text.slice(0, MAX_MESSAGE_ID).trim();
  return found === '' || found === '<>' ? undefined : found;
}
