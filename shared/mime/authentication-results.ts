/** What a server found out about who sent a mail (RFC 8601). Methods, results, types and names are in lower case. */
export interface AuthenticationResults {
  /** Who says so: usually the name of the server. Exchange Online gives none. */
  readonly authservId: string | undefined;
  readonly results: readonly AuthenticationResult[];
  /** What was read, in one line: comments tell addresses and keys. */
  readonly field: string;
}

export interface AuthenticationResult {
  /** `spf`, `dkim`, `dmarc`, `arc`, `auth` … */
  readonly method: string;
  /** `pass`, `fail`, `none`, `softfail`, `temperror` … */
  readonly result: string;
  readonly reason: string | undefined;
  readonly properties: readonly AuthenticationProperty[];
}

/** What was looked at: `header.d=example.org` has ptype `header`, property `d`. */
export interface AuthenticationProperty {
  /** `smtp`, `header`, `body`, `policy` …; undefined where the server wrote a name alone (Exchange: `action=none`). */
  readonly ptype: string | undefined;
  readonly property: string;
  readonly value: string;
}

/** Results kept of one field, and properties of one result: servers write five, and three each. */
const maxResults = 50;
const maxProperties = 50;

const blanks = /[^\t ]/g;
/** Ends a name, and a value: `=` is part of many values (`header.b=dGVzdA==`). */
const nameEnd = /[\t ;="(]/g;
const valueEnd = /[\t ;"(]/g;

/**
 * Reads the value of an `Authentication-Results` field (RFC 8601 section 2.2): unfolded, of one line. Comments are left
 * out, quoted strings unquoted. What is not as the grammar says is read as far as it can be. Takes linear time.
 */
export function readAuthenticationResults(field: string): AuthenticationResults {
  const scanner = new Scanner(field);
  const first = scanner.value(nameEnd);
  scanner.comments();
  // Without an authserv-id the field begins with the first result.
  if (scanner.at('=')) return { authservId: undefined, results: resultsOf(new Scanner(field)), field };
  // A version may stand behind it.
  pairsOf(scanner);
  return { authservId: first === '' ? undefined : first, results: resultsOf(scanner), field };
}

function resultsOf(scanner: Scanner): AuthenticationResult[] {
  const results: AuthenticationResult[] = [];
  while (!scanner.ended && results.length < maxResults) {
    const result = resultOf(pairsOf(scanner));
    if (result) results.push(result);
  }
  return results;
}

type Pair = readonly [name: string, value: string];

/** The pairs `name=value` up to the next semicolon. A word alone (`none`: nothing was checked) is passed over. */
function pairsOf(scanner: Scanner): Pair[] {
  const pairs: Pair[] = [];
  for (scanner.comments(); !scanner.ended && !scanner.take(';'); scanner.comments()) {
    const name = nameOf(scanner);
    if (!scanner.take('=')) continue;
    scanner.comments();
    const value = scanner.value(valueEnd);
    if (name !== '' && pairs.length < maxProperties) pairs.push([name, value]);
  }
  return pairs;
}

/** A name with its dot or slash, around which comments may stand, and what blanks and comments follow. */
function nameOf(scanner: Scanner): string {
  let name = '';
  for (;;) {
    const piece = scanner.value(nameEnd);
    name += piece;
    scanner.comments();
    const goesOn = /[./]$/.test(piece) || scanner.at('.') || scanner.at('/');
    if (piece === '' || !goesOn) return name.toLowerCase();
  }
}

function resultOf([found, ...pairs]: readonly Pair[]): AuthenticationResult | undefined {
  // A method may have a version: `dkim/1`.
  const method = found?.[0].split('/', 1)[0];
  if (found === undefined || method === undefined || method === '') return undefined;
  const properties = pairs.filter(([name]) => name !== 'reason');
  return {
    method,
    result: found[1].toLowerCase(),
    reason: pairs.find(([name]) => name === 'reason')?.[1],
    properties: properties.map(([name, value]) => {
      const dot = name.indexOf('.');
      return dot < 0
        ? { ptype: undefined, property: name, value }
        : { ptype: name.slice(0, dot), property: name.slice(dot + 1), value };
    }),
  };
}

/** Goes through a field once, from left to right. */
class Scanner {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
    this.comments();
  }

  get ended(): boolean {
    return this.#position >= this.#text.length;
  }

  at(character: string): boolean {
    return this.#text[this.#position] === character;
  }

  take(character: string): boolean {
    const there = this.at(character);
    if (there) this.#position += 1;
    return there;
  }

  /** Passes over blanks and comments, which may be nested (CFWS of RFC 5322). */
  comments(): void {
    for (;;) {
      this.#position = this.#next(blanks);
      if (!this.at('(')) return;
      let depth = 0;
      for (; this.#position < this.#text.length; this.#position += 1) {
        if (this.at('\\')) this.#position += 1;
        else if (this.at('(')) depth += 1;
        else if (this.at(')') && --depth === 0) break;
      }
      this.#position += 1;
    }
  }

  /** A run of characters and quoted strings: `"a b"@example.org`. Always passes over something, but for `;` and `=`. */
  value(end: RegExp): string {
    let value = '';
    for (;;) {
      const to = this.#next(end);
      value += this.#text.slice(this.#position, to);
      this.#position = to;
      if (!this.at('"')) return value;
      value += this.#quoted();
    }
  }

  #quoted(): string {
    let text = '';
    for (this.#position += 1; this.#position < this.#text.length; this.#position += 1) {
      if (this.at('"')) break;
      if (this.at('\\')) this.#position += 1;
      text += this.#text[this.#position] ?? '';
    }
    this.#position += 1;
    return text;
  }

  #next(form: RegExp): number {
    form.lastIndex = this.#position;
    return form.exec(this.#text)?.index ?? this.#text.length;
  }
}
