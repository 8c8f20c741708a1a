import type { Credentials } from './sign-in/credentials.ts';

/** Takes credentials out of a text: servers have been seen to echo what they were sent. */
export type Scrub = (text: string) => string;

/** Takes out what these credentials hold that is secret: the password, or the access token. */
export function credentialScrub(credentials: Credentials): Scrub {
  switch (credentials.kind) {
    case 'none':
      return (text) => text;
    case 'token':
      return secretScrub(credentials.token);
    case 'password':
      return secretScrub(credentials.password);
  }
}

/** What stands in place of a secret. */
const hidden = '***';

/** Characters of a secret that give it away when they stand together: what is echoed may be cut, or come in parts. */
const pieceLength = 10;
/** Shortest run of base64 that is not found by chance. */
const shortestBase64 = 4;
/** Characters of a text looked at; what lies behind is dropped, since nothing here is shown at such length. */
const longestText = 65_536;

/**
 * Puts `***` in place of a secret in every form in which a server may give it back: as it is, in other letter case, with
 * characters escaped as in IMAP, JSON, URLs, HTML or quoted-printable (also twice), as hexadecimal digits, in base64 of
 * either alphabet whatever stands around it, with its octets read as Latin-1, and in part. Linear in the text.
 */
export function secretScrub(secret: string): Scrub {
  if (secret === '') return (text) => text;
  const search = searchFor(secret);
  return (text) => {
    const bounded = text.slice(0, longestText);
    const marks = new Uint8Array(bounded.length);
    for (const view of viewsOf(bounded)) {
      search(view.text, (from, to) => marks.fill(1, view.starts[from], view.ends[to - 1]));
    }
    return withoutMarked(bounded, marks);
  };
}

type Range = readonly [from: number, to: number];
type Search = (text: string, found: (...range: Range) => void) => void;

function searchFor(secret: string): Search {
  const octets = Buffer.from(secret, 'utf8');
  const cased = [secret, secret.toUpperCase(), secret.toLowerCase()];
  const misread = [octets.toString('latin1'), Buffer.from(secret, 'latin1').toString('utf8')];
  const readings = [...cased, secret.normalize('NFC'), secret.normalize('NFD'), ...misread];
  if (octets.length >= shortestBase64) readings.push(octets.toString('hex'));
  const inBase64 = [secret, secret.normalize('NFC'), secret.normalize('NFD')].flatMap(base64Cores);
  const needles = new Set(readings.map(comparable));
  const cores = new Set(inBase64.map(comparable));
  const pieces = new Set<string>();
  for (const whole of [...needles, ...cores]) {
    for (let at = 0; at + pieceLength <= whole.length; at += 1) pieces.add(whole.slice(at, at + pieceLength));
  }
  return (text, found) => {
    const compared = comparable(text);
    const mark = ([from, to]: Range) => {
      found(from, to);
      return to;
    };
    for (const needle of needles) eachPlace(compared, needle, (at) => mark([at, at + needle.length]));
    for (const core of cores) eachPlace(compared, core, (at) => mark(base64Around(compared, at, core.length)));
    if (pieces.size === 0) return;
    for (let at = 0; at + pieceLength <= compared.length; at += 1) {
      if (pieces.has(compared.slice(at, at + pieceLength))) found(at, at + pieceLength);
    }
  };
}

/** The text with ASCII letters small and the two characters of the URL-safe alphabet as the usual ones. Keeps its length. */
function comparable(text: string): string {
  return text
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replace(/-/g, '+')
    .replace(/_/g, '/');
}

/** Calls `found` for each place of the needle; it answers from where to look on. */
function eachPlace(text: string, needle: string, found: (at: number) => number): void {
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, found(at)));
}

/**
 * What base64 makes of the secret wherever it stands within an encoded text: an octet more or two before it shift its
 * bits, and the characters at both ends also hold bits of the neighbours.
 */
function base64Cores(secret: string): string[] {
  const octets = Buffer.from(secret, 'utf8');
  return [0, 1, 2]
    .map((before) => {
      const encoded = Buffer.concat([Buffer.alloc(before), octets]).toString('base64');
      return encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + octets.length) * 8) / 6));
    })
    .filter((core) => core.length >= shortestBase64);
}

/** The encoded text around a core: what stands beside a password in it gives as much away. */
function base64Around(text: string, at: number, length: number): Range {
  const letter = /[a-z0-9+/]/;
  let from = at;
  let to = at + length;
  while (from > 0 && letter.test(text.charAt(from - 1))) from -= 1;
  while (to < text.length && letter.test(text.charAt(to))) to += 1;
  while (to < text.length && text.charAt(to) === '=') to += 1;
  return [from, to];
}

/** A text with escapes undone; of each of its characters, where it begins and ends in the text that it came from. */
interface View {
  readonly text: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** How escapes are written, and what one of them (or a run of them) stands for. */
const escapes: readonly { readonly pattern: RegExp; undo(taken: string): string }[] = [
  {
    pattern: /\\(?:u[0-9a-f]{4}|x[0-9a-f]{2}|[\s\S])/gi,
    undo: (taken) => (taken.length > 2 ? String.fromCharCode(Number.parseInt(taken.slice(2), 16)) : taken.slice(1)),
  },
  {
    pattern: /(?:%[0-9a-f]{2})+|\+/gi,
    undo: (taken) => (taken === '+' ? ' ' : Buffer.from(taken.replaceAll('%', ''), 'hex').toString('utf8')),
  },
  {
    pattern: /(?:=[0-9a-f]{2})+|=\r?\n/gi,
    undo: (taken) => (/\n$/.test(taken) ? '' : Buffer.from(taken.replaceAll('=', ''), 'hex').toString('utf8')),
  },
  {
    pattern: /&(?:#x[0-9a-f]{1,6}|#\d{1,7}|amp|lt|gt|quot|apos);/gi,
    undo: htmlCharacter,
  },
];

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function htmlCharacter(reference: string): string {
  const name = reference.slice(1, -1).toLowerCase();
  if (!name.startsWith('#')) return named[name] ?? reference;
  const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number.parseInt(name.slice(1), 10);
  return code <= 0x10ffff ? String.fromCodePoint(code) : reference;
}

/** The text itself, and as it is with each kind of escape undone, and each kind of those. */
function* viewsOf(text: string): Generator<View> {
  const itself: View = {
    text,
    starts: Array.from({ length: text.length }, (_, at) => at),
    ends: Array.from({ length: text.length }, (_, at) => at + 1),
  };
  yield itself;
  for (const once of unescaped(itself)) {
    yield once;
    yield* unescaped(once);
  }
}

function* unescaped(view: View): Generator<View> {
  for (const { pattern, undo } of escapes) {
    const starts: number[] = [];
    const ends: number[] = [];
    let text = '';
    let from = 0;
    const keep = (until: number) => {
      text += view.text.slice(from, until);
      for (; from < until; from += 1) {
        starts.push(view.starts[from] ?? 0);
        ends.push(view.ends[from] ?? 0);
      }
    };
    for (const { 0: taken, index } of view.text.matchAll(pattern)) {
      keep(index);
      const stands = undo(taken);
      const end = index + taken.length;
      for (let at = 0; at < stands.length; at += 1) {
        starts.push(view.starts[index] ?? 0);
        ends.push(view.ends[end - 1] ?? 0);
      }
      text += stands;
      from = end;
    }
    if (from === 0) continue;
    keep(view.text.length);
    yield { text, starts, ends };
  }
}

function withoutMarked(text: string, marks: Uint8Array): string {
  let out = '';
  for (let at = 0; at < text.length; ) {
    const marked = marks[at] === 1;
    let end = at + 1;
    while (end < text.length && (marks[end] === 1) === marked) end += 1;
    out += marked ? hidden : text.slice(at, end);
    at = end;
  }
  return out;
}
