import { decodeRawHeader } from './charsets.ts';
import type { MimeLimits } from './limits.ts';
import type { Defects } from './mail.ts';

const addressFields = ['from', 'to', 'cc', 'bcc', 'reply-to'];

/**
 * The fields the reader uses. All others are passed over without keeping a byte, so that 50 MB of them cost nothing
 * and hide nothing that comes after.
 */
const usedFields = new Set([
  ...addressFields,
  'subject',
  'date',
  'message-id',
  'in-reply-to',
  'references',
  'return-path',
  'auto-submitted',
  'precedence',
  'x-autoreply',
  'x-autorespond',
  'x-failed-recipients',
  'authentication-results',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
  'content-disposition',
  'content-id',
  'content-location',
]);

/** No registered field name is half as long. */
const MAX_NAME = 78;

/** Fields kept of one section; beyond are repetitions, told as a defect. */
const MAX_FIELDS = 200;

interface Field {
  readonly name: string;
  readonly limit: number;
  /** One byte a character, continuation lines joined, as they came otherwise. */
  raw: string;
}

/** What became of a line: `notHeader` where a body must have begun already. */
export type LineOutcome = 'taken' | 'notHeader';

/** Takes the lines of one header section (RFC 5322 section 2.2) and keeps the fields that are used, within limits. */
export class HeaderBlock {
  readonly #limits: MimeLimits;
  readonly #defects: Defects;
  readonly #fields: Field[] = [];
  #current: Field | undefined;
  /** The line under way is no field; its continuation may be one of the field before. */
  #junk = false;
  #kept = 0;
  #seen = 0;
  #size = 0;

  constructor(limits: MimeLimits, defects: Defects) {
    this.#limits = limits;
    this.#defects = defects;
  }

  /** A line, or the first piece of a long one, without its line end. */
  line(bytes: Buffer): LineOutcome {
    this.#junk = false;
    const first = bytes[0];
    if (first === 0x20 || first === 0x09) {
      if (this.#seen === 0) return 'notHeader';
      this.more(bytes);
      return 'taken';
    }
    const name = fieldName(bytes);
    if (name === undefined) {
      if (this.#seen === 0) return 'notHeader';
      this.#defects.add('malformed-header');
      this.#junk = true;
      this.more(bytes);
      return 'taken';
    }
    this.#seen++;
    this.#current = undefined;
    if (usedFields.has(name.text)) {
      if (this.#fields.length < MAX_FIELDS) {
        const limit = addressFields.includes(name.text) ? this.#limits.addressField : this.#limits.headerField;
        this.#current = { name: name.text, limit, raw: '' };
        this.#fields.push(this.#current);
      } else {
        this.#defects.add('duplicate-header');
      }
    }
    this.more(bytes.subarray(name.end));
    return 'taken';
  }

  /** A continuation line, or the next piece of a long line. */
  more(bytes: Buffer): void {
    this.#count(bytes.length);
    const field = this.#current;
    if (field === undefined || this.#junk) return;
    const room = Math.min(field.limit - field.raw.length, this.#limits.headerBlock - this.#kept);
    if (bytes.length > room) this.#defects.add('header-too-large');
    if (room <= 0) return;
    // As text, because a view would hold on to the whole chunk it was cut from.
    field.raw += bytes.toString('latin1', 0, Math.min(room, bytes.length));
    this.#kept += Math.min(room, bytes.length);
  }

  #count(bytes: number): void {
    this.#size += bytes;
    if (this.#size > this.#limits.headerBlock) this.#defects.add('header-too-large');
  }

  /** Text of the first field of that name: 8-bit bytes decoded, encoded words not, control characters as blanks. */
  first(name: string): string | undefined {
    for (const field of this.#fields) if (field.name === name) return this.#text(field.raw);
    return undefined;
  }

  all(name: string): string[] {
    return this.#fields.filter((field) => field.name === name).map((field) => this.#text(field.raw));
  }

  #text(raw: string): string {
    if (raw.includes('\0')) this.#defects.add('nul-bytes');
    const text = decodeRawHeader(raw);
    return cleanLine(text);
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
const controls = /[\x01-\x1f\x7f]+/g;

/** One line without NUL; other control characters, which no field may hold, become blanks. */
export function cleanLine(text: string): string {
  return text.replaceAll('\0', '').replace(controls, ' ').trim();
}

/** Name of the field that a line begins (RFC 5322 section 2.2; blanks before the colon as in section 4.5). */
function fieldName(bytes: Buffer): { readonly text: string; readonly end: number } | undefined {
  let end = 0;
  while (end < bytes.length && end <= MAX_NAME) {
    const byte = bytes[end] ?? 0;
    if (byte === 0x3a || byte <= 0x20 || byte >= 0x7f) break;
    end++;
  }
  let colon = end;
  while (bytes[colon] === 0x20 || bytes[colon] === 0x09) colon++;
  if (end === 0 || end > MAX_NAME || bytes[colon] !== 0x3a) return undefined;
  return { text: bytes.toString('latin1', 0, end).toLowerCase(), end: colon + 1 };
}
