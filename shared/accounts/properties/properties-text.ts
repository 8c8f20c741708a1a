/** One property of a `.properties` text, escapes undone. */
export interface TextProperty {
  readonly name: string;
  readonly value: string;
  /** Where it begins, from 1. */
  readonly line: number;
}

/** What a text says, and the lines that cannot be read. */
export interface ParsedText {
  readonly properties: readonly TextProperty[];
  readonly mistakes: readonly { readonly line: number; readonly detail: string }[];
}

interface LogicalLine {
  readonly text: string;
  readonly line: number;
}

/** Space, tab and form feed are the white space of the format; a no-break space is not. */
const leadingSpace = /^[ \t\f]+/;

/** True where an odd number of backslashes ends the line: the last one escapes the line's end. */
function isContinued(text: string): boolean {
  let at = text.length;
  while (at > 0 && text[at - 1] === '\\') at -= 1;
  return (text.length - at) % 2 === 1;
}

/** Natural lines joined to logical ones. Blank lines and comments are no part of any; a comment is never continued. */
function* logicalLines(text: string): Generator<LogicalLine> {
  let open: LogicalLine | undefined;
  let number = 0;
  for (const natural of text.split(/\r\n|\r|\n/)) {
    number += 1;
    const stripped = natural.replace(leadingSpace, '');
    if (!open && (stripped === '' || stripped.startsWith('#') || stripped.startsWith('!'))) continue;
    const continued = isContinued(stripped);
    const joined: LogicalLine = {
      text: (open?.text ?? '') + (continued ? stripped.slice(0, -1) : stripped),
      line: open?.line ?? number,
    };
    // A line that is a backslash alone begins nothing yet: a comment or a blank line may follow.
    open = continued && joined.text !== '' ? joined : undefined;
    if (!continued) yield joined;
  }
  if (open) yield open;
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

/** Undoes escapes; undefined where `\u` is not followed by four hexadecimal digits, which Java refuses. */
function unescaped(text: string): string | undefined {
  if (/^(?:[^\\]|\\[^u]|\\u[0-9A-Fa-f]{4})*\\u(?![0-9A-Fa-f]{4})/s.test(text)) return undefined;
  return text.replace(/\\(?:u([0-9A-Fa-f]{4})|(.)|$)/gs, (_, hex: string | undefined, character: string | undefined) =>
    hex === undefined ? (escapes[character ?? ''] ?? character ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** The name ends before the first `=`, `:` or white space that no backslash escapes; one separator follows it. */
const parts = /^((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)$/s;

/**
 * Reads a text as `java.util.Properties.load` does (Java SE API, class Properties): comments with `#` and `!`, lines
 * continued by an odd number of backslashes, `=`, `:` or white space between name and value, escapes with `\`. The text
 * came as JSON and is Unicode already, whether the file was ISO 8859-1 with `\uXXXX` or UTF-8; a byte order mark at its
 * start is dropped. Properties come in their order, repeated names too. Of a backslash alone at the end Java makes a
 * property without name and value; here it is nothing.
 */
export function parsePropertiesText(text: string): ParsedText {
  const properties: TextProperty[] = [];
  const mistakes: { line: number; detail: string }[] = [];
  for (const { text: logical, line } of logicalLines(text.replace(/^\ufeff/, ''))) {
    const [, rawName = '', rawValue = ''] = parts.exec(logical) ?? [];
    const name = unescaped(rawName);
    const value = unescaped(rawValue);
    if (name === undefined || value === undefined)
      mistakes.push({ line, detail: '\\u must be followed by four hexadecimal digits' });
    else if (logical.includes('\ufffd'))
      mistakes.push({ line, detail: 'holds U+FFFD: the file was read in another encoding than it was written in' });
    else properties.push({ name, value, line });
  }
  return { properties, mistakes };
}
