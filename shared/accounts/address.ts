import { domainToASCII } from 'node:url';

/** A mailbox of RFC 5322 section 3.4: `name` is empty where there is none; the domain of `address` is in A-labels. */
export interface Mailbox {
  readonly name: string;
  readonly address: string;
}

/** Thrown for a text that is not an address. The message says what is wrong and never repeats the text. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
}

/** RFC 5321 section 4.5.3.1: octets of a local part, of a domain, and of a path without its angle brackets. */
const maxLocalPart = 64;
const maxDomain = 253;
const maxAddress = 254;

/** Display names are shown on one line; every encoded word of one must fit its header. */
const maxDisplayName = 256;

/** Longest address list read: 500 mailboxes with names of ordinary length, and room. */
const maxListLength = 256 * 1024;

/** An address has 254 octets (RFC 5321 section 4.5.3.1); comments and folding may make a text of it longer. */
const maxAddressText = 2000;

/** Control characters of ASCII and Latin-1 and the two Unicode line separators: none belongs in a header. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
export const controlCharacters = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** atext of RFC 5322 section 3.2.3, with the UTF-8 that RFC 6532 adds. */
const atom = /[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u00a0-\u{10ffff}]+/uy;
const dotAtom =
  /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u00a0-\u{10ffff}]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u00a0-\u{10ffff}]+)*$/u;
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** What an internationalised domain is written with; leaves out all that the URL parser gives a meaning of its own. */
const idnCharacters = /^[\p{L}\p{N}\p{M}.\-\u00b7\u200c\u200d]+$/u;

function normaliseDomain(domain: string): string {
  const literal = /^\[(?:(\d{1,3}(?:\.\d{1,3}){3})|IPv6:([0-9A-Fa-f:.]{2,45}))\]$/i.exec(domain);
  if (literal) {
    const host = literal[1] ?? `[${literal[2]}]`;
    if (!URL.canParse(`http://${host}/`)) throw new AddressError('the domain is not a valid address literal');
    return domain;
  }
  if (!idnCharacters.test(domain)) throw new AddressError('the domain is not valid');
  // Only what is not ASCII goes through the URL parser: it would read "1.2.3" as an IP address.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is all of ASCII.
  const ascii = /^[\u0000-\u007f]*$/.test(domain) ? domain.toLowerCase() : domainToASCII(domain);
  const labels = ascii.split('.');
  if (ascii.length > maxDomain || !labels.every((each) => label.test(each)))
    throw new AddressError('the domain is not valid');
  if (/^\d+$/.test(labels.at(-1) ?? '')) throw new AddressError('the domain is not valid');
  return ascii;
}

function joinAddress(local: string, quoted: boolean, domain: string): string {
  if (!local.isWellFormed() || controlCharacters.test(local))
    throw new AddressError('the part before the @ holds characters that are not allowed');
  const written = quoted && !dotAtom.test(local) ? `"${local.replace(/["\\]/g, '\\$&')}"` : local;
  if (written === '' || (!quoted && !dotAtom.test(written)))
    throw new AddressError('the part before the @ is not valid');
  if (Buffer.byteLength(written) > maxLocalPart)
    throw new AddressError(`the part before the @ is longer than ${maxLocalPart} octets`);
  const address = `${written}@${normaliseDomain(domain)}`;
  if (Buffer.byteLength(address) > maxAddress) throw new AddressError(`is longer than ${maxAddress} octets`);
  return address;
}

/** Reads an address list of RFC 5322 section 3.4 from left to right. Obsolete forms other than dots in names are refused. */
class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  /** Spaces and comments. Answers whether there were any. */
  space(): boolean {
    const start = this.#at;
    for (;;) {
      while (this.take(' ') || this.take('\t'));
      if (this.#text[this.#at] !== '(') return this.#at > start;
      this.#comment();
    }
  }

  #comment(): void {
    let depth = 0;
    do {
      const character = this.#text[this.#at++];
      if (character === undefined) throw new AddressError('a comment is not closed');
      if (character === '\\') this.#at += 1;
      else if (character === '(') depth += 1;
      else if (character === ')') depth -= 1;
    } while (depth > 0);
  }

  atom(): string | undefined {
    atom.lastIndex = this.#at;
    const found = atom.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  quoted(): string | undefined {
    if (!this.take('"')) return undefined;
    let value = '';
    for (;;) {
      const character = this.#text[this.#at++];
      if (character === undefined) throw new AddressError('a quoted text is not closed');
      if (character === '"') return value;
      value += character === '\\' ? (this.#text[this.#at++] ?? '') : character;
    }
  }

  /** Everything up to the end of a domain: a literal in brackets, or what looks like a name. */
  domain(): string {
    this.space();
    const rest = this.#text.slice(this.#at, this.#at + maxDomain * 4);
    const found = /^(?:\[[^\]]*\]|[^\s<>,;:()"@[\]\\]+)/.exec(rest)?.[0];
    if (found === undefined) throw new AddressError('there is no domain after the @');
    this.#at += found.length;
    this.space();
    return found;
  }
}

interface Phrase {
  /** The words as a display name. */
  readonly name: string;
  /** The words as a local part, if nothing separates them. */
  readonly local: { readonly text: string; readonly quoted: boolean } | undefined;
}

/** Words, quoted texts and dots, up to the next special character. */
function readPhrase(reader: Reader): Phrase {
  let name = '';
  let words = 0;
  let quotedWords = 0;
  let separated = false;
  let gap = false;
  reader.space();
  for (;;) {
    const quoted = reader.quoted();
    const word = quoted ?? reader.atom() ?? (reader.take('.') ? '.' : undefined);
    if (word === undefined) break;
    if (gap) separated = true;
    name += gap && name !== '' ? ` ${word}` : word;
    words += 1;
    if (quoted !== undefined) quotedWords += 1;
    gap = reader.space();
  }
  const plain = quotedWords === 0 || words === 1;
  const local = words > 0 && !separated && plain ? { text: name, quoted: quotedWords === 1 } : undefined;
  return { name: name.replace(/\s+/g, ' ').trim(), local };
}

function readAddrSpec(reader: Reader, local: Phrase['local']): string {
  if (local === undefined) throw new AddressError('is not an address');
  return joinAddress(local.text, local.quoted, reader.domain());
}

function checkName(name: string, maxName: number): string {
  if (name.length > maxName) throw new AddressError(`the name is longer than ${maxName} characters`);
  if (!name.isWellFormed() || controlCharacters.test(name))
    throw new AddressError('the name holds line breaks or control characters');
  return name;
}

/** One mailbox, or the members of a group. */
function readAddress(reader: Reader, inGroup: boolean, maxName: number): readonly Mailbox[] {
  const phrase = readPhrase(reader);
  if (reader.take('@')) return [{ name: '', address: readAddrSpec(reader, phrase.local) }];
  if (reader.take('<')) {
    const inner = readPhrase(reader);
    if (!reader.take('@')) throw new AddressError('there is no address between < and >');
    const address = readAddrSpec(reader, inner.local);
    if (!reader.take('>')) throw new AddressError('a < is not closed');
    reader.space();
    return [{ name: checkName(phrase.name, maxName), address }];
  }
  if (!inGroup && phrase.name !== '' && reader.take(':')) {
    reader.space();
    // "undisclosed-recipients:;" is a group of nobody.
    const members = reader.take(';') ? [] : readMembers(reader, true, maxName);
    if (members.length > 0 && !reader.take(';')) throw new AddressError('a group is not closed with ;');
    reader.space();
    return members;
  }
  throw new AddressError('is not an address (a name with special characters needs quotes)');
}

function readMembers(reader: Reader, inGroup: boolean, maxName: number): readonly Mailbox[] {
  const found: Mailbox[] = [];
  do {
    found.push(...readAddress(reader, inGroup, maxName));
  } while (reader.take(','));
  return found;
}

/**
 * The mailboxes of an address list as mail headers write it: `a@b`, `Name <a@b>`, several with commas, groups (as
 * their members; `undisclosed-recipients:;` has none). Domains come out as lower-case A-labels (RFC 5890). Comments
 * are dropped. Limits of RFC 5321. `maxName`: a header's names may hold encoded words, which are longer than what they
 * say. Throws AddressError.
 */
export function parseMailboxes(
  text: string,
  { maxName = maxDisplayName }: { readonly maxName?: number } = {},
): readonly Mailbox[] {
  if (text.length > maxListLength) throw new AddressError('is too long');
  if (controlCharacters.test(text.replaceAll('\t', ' ')))
    throw new AddressError('must not contain line breaks or control characters');
  const reader = new Reader(text);
  reader.space();
  if (reader.done) throw new AddressError('is empty');
  const found = readMembers(reader, false, maxName);
  if (!reader.done) throw new AddressError('is not an address list');
  return found;
}

/** Exactly one mailbox. Throws AddressError. */
export function parseMailbox(text: string): Mailbox {
  const [mailbox, ...more] = parseMailboxes(text);
  if (mailbox === undefined || more.length > 0) throw new AddressError('must be one address');
  return mailbox;
}

/** Checks a bare `local@domain` and brings its domain into one form. Throws AddressError. */
export function normaliseAddress(address: string): string {
  if (address.length > maxAddressText) throw new AddressError('is too long');
  if (controlCharacters.test(address)) throw new AddressError('must not contain line breaks or control characters');
  const reader = new Reader(address);
  const { local } = readPhrase(reader);
  if (!reader.take('@')) throw new AddressError('must be a bare address');
  const found = readAddrSpec(reader, local);
  if (!reader.done) throw new AddressError('must be a bare address');
  return found;
}

/** A mailbox from its parts. Throws AddressError. */
export function toMailbox(name: string, address: string): Mailbox {
  return { name: checkName(name, maxDisplayName).replace(/\s+/g, ' ').trim(), address: normaliseAddress(address) };
}

/** True where the local part is not ASCII, so that only a server with SMTPUTF8 (RFC 6531) takes the address. */
export function needsSmtpUtf8(address: string): boolean {
  return /[^\u0020-\u007e]/.test(address);
}
