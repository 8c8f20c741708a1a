/** First line of an answer. `more`: a SASL challenge (RFC 5034 section 4). */
export interface Reply {
  readonly status: 'ok' | 'error' | 'more';
  /** Response code without its brackets, in capitals, such as `AUTH` or `SYS/TEMP` (RFC 2449 section 8, RFC 3206). */
  readonly code?: string;
  readonly text: string;
}

/** Undefined for what no POP3 server says. */
export function parseReply(line: string): Reply | undefined {
  const more = /^\+(?: (.*))?$/.exec(line);
  if (more) return { status: 'more', text: more[1] ?? '' };
  const found = /^(\+OK|-ERR)(?:\s(.*))?$/i.exec(line);
  if (!found) return undefined;
  const words = (found[2] ?? '').trimStart();
  const code = /^\[([A-Za-z0-9/._-]{1,64})[^\]]*\]/.exec(words);
  return {
    status: found[1] === '-ERR' || found[1]?.startsWith('-') ? 'error' : 'ok',
    ...(code?.[1] === undefined ? {} : { code: code[1].toUpperCase() }),
    text: words.slice(code?.[0].length ?? 0).trim(),
  };
}

/** The refusal is no matter of the message: the whole session has a trouble that may pass (RFC 2449, RFC 3206). */
export function isPassing({ code }: Reply): boolean {
  return code === 'SYS/TEMP' || code === 'IN-USE';
}

/** What CAPA answers (RFC 2449): keywords in capitals, with their arguments. Undefined where the server knows no CAPA. */
export type Capabilities = ReadonlyMap<string, readonly string[]>;

/** Reads the lines that follow +OK of CAPA (RFC 2449 section 5). */
export function parseCapabilities(lines: readonly string[]): Capabilities {
  return new Map(
    lines.map((line) => {
      const [name = '', ...args] = line.trim().split(/\s+/);
      return [name.toUpperCase(), args] as const;
    }),
  );
}

/** Longest unique id taken. RFC 1939 section 7 allows 70 characters of 0x21 to 0x7E; some servers give more. */
const MAX_UIDL = 500;

/** Most messages a maildrop may have: nobody's is larger, and a server must not list for ever. */
export const MAX_MESSAGES = 500_000;

/** A line of UIDL; undefined where it makes no sense. An id that cannot be one is '', as if there were none. */
export function parseUidl(line: string): { readonly number: number; readonly uidl: string } | undefined {
  const found = /^\s*(\d{1,9})(?:\s+(\S+))?/.exec(line);
  const number = Number(found?.[1] ?? 0);
  if (number < 1) return undefined;
  const id = found?.[2] ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  return { number, uidl: id.length > MAX_UIDL || /[\u0000-\u0020\u007f]/.test(id) ? '' : id };
}

/** A line of LIST, or what follows +OK of LIST and STAT: two numbers. */
export function parsePair(text: string): readonly [number, number] | undefined {
  const found = /^\s*(\d{1,9})\s+(\d{1,15})/.exec(text);
  return found ? [Number(found[1]), Number(found[2])] : undefined;
}
