/** An argument of an IMAP command (RFC 3501 section 4). */
export type Value =
  | { readonly kind: 'atom'; readonly text: string }
  | { readonly kind: 'string'; readonly bytes: Buffer }
  | { readonly kind: 'list'; readonly items: readonly Value[] };

/** What a command is refused with: `BAD` for what cannot be read or is not known, `NO` for what cannot be done. */
export class ImapRefusal extends Error {
  override readonly name = 'ImapRefusal';
  readonly status: 'NO' | 'BAD';

  constructor(status: 'NO' | 'BAD', message: string) {
    super(message);
    this.status = status;
  }
}

export const bad = (message: string) => new ImapRefusal('BAD', message);
export const no = (message: string) => new ImapRefusal('NO', message);

/** Lists within lists; FETCH and SEARCH need two. */
const maxDepth = 10;

/** Reads arguments from a command as it came: text, with the literals between its pieces. */
export function parseValues(parts: readonly (string | Buffer)[]): readonly Value[] {
  let part = 0;
  let at = 0;

  const text = (): string => {
    const current = parts[part];
    return typeof current === 'string' ? current : '';
  };

  function items(depth: number): Value[] {
    if (depth > maxDepth) throw bad('Too many parentheses');
    const found: Value[] = [];
    for (;;) {
      while (text()[at] === ' ') at++;
      if (at >= text().length) {
        const literal = parts[part + 1];
        if (literal === undefined) {
          if (depth > 0) throw bad('Missing )');
          return found;
        }
        if (typeof literal === 'string') throw bad('Cannot read the arguments');
        found.push({ kind: 'string', bytes: literal });
        part += 2;
        at = 0;
      } else if (text()[at] === ')') {
        if (depth === 0) throw bad('Unexpected )');
        at++;
        return found;
      } else {
        found.push(item(depth));
      }
    }
  }

  function item(depth: number): Value {
    if (text()[at] === '(') {
      at++;
      return { kind: 'list', items: items(depth + 1) };
    }
    return text()[at] === '"' ? quoted() : atom();
  }

  function quoted(): Value {
    const match = /"((?:[^"\\]|\\["\\])*)"/y;
    match.lastIndex = at;
    const found = match.exec(text());
    if (!found) throw bad('Unclosed "');
    at = match.lastIndex;
    return { kind: 'string', bytes: Buffer.from((found[1] ?? '').replace(/\\(["\\])/g, '$1'), 'latin1') };
  }

  /** `BODY[HEADER.FIELDS (DATE "FROM")]<0.100>` is one atom: what stands in brackets belongs to it. */
  function atom(): Value {
    const match = /(?:[^\s()"[\]]|\[[^\]]*\]|\])+/y;
    match.lastIndex = at;
    const found = match.exec(text());
    if (!found) throw bad('Cannot read the arguments');
    at = match.lastIndex;
    return { kind: 'atom', text: found[0] };
  }

  return items(0);
}

/** An atom or a string as text; bytes above 127 as Latin-1, so that names compare byte for byte. */
export function textOf(value: Value | undefined): string {
  if (value?.kind === 'atom') return value.text;
  if (value?.kind === 'string') return value.bytes.toString('latin1');
  throw bad('Missing argument');
}

/** The values of a list in parentheses. Throws BAD for anything else. */
export function listOf(value: Value | undefined): readonly Value[] {
  if (value?.kind === 'list') return value.items;
  throw bad('Expected a list in parentheses');
}

/** A quoted string (RFC 3501 section 4.3). */
export function quote(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`;
}
