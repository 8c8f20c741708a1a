import { zoneMinutes } from './time-zones.ts';

/** A Date field is some 30 characters; comments add to that. */
const MAX_LENGTH = 500;

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const weekdays = /^(?:sun|mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur)(?:day)?$/;

/** A date that was read. */
export interface ReadDate {
  /** RFC 3339 in UTC. */
  readonly instant: string;
  /** False where the field is no date by RFC 5322, ISO 8601 or `asctime`, and its meaning was guessed. */
  readonly valid: boolean;
}

/** A Date field as RFC 3339 in UTC, or undefined where it is not a date. See `parseDate`. */
export function readDate(field: string): string | undefined {
  return parseDate(field)?.instant;
}

/**
 * Reads RFC 5322 section 3.3 with its obsolete forms (section 4.3), ISO 8601 and asctime, and as guesses what names
 * the month first, or is written in digits of which one can only be the day. The runtime's own parser would take a
 * missing zone for the local one. Without a zone: UTC, as RFC 5322 section 4.3 says for one that is not known.
 */
export function parseDate(field: string): ReadDate | undefined {
  const text = withoutComments(field.slice(0, MAX_LENGTH)).toLowerCase();
  const found = tokens(text);
  const parts = new DateParts();
  for (const [index, token] of found.entries()) {
    if (!parts.add(token, found[index + 1])) return undefined;
  }
  return parts.compose();
}

/** Comments nest, and contain quoted pairs (RFC 5322 section 3.2.2). One that is never closed reaches to the end. */
function withoutComments(text: string): string {
  let result = '';
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (character === '\\') at++;
    else if (character === '(') depth++;
    else if (character === ')' && depth > 0) {
      if (--depth === 0) result += ' ';
    } else if (depth === 0) result += character;
  }
  return result;
}

type Token =
  | { readonly kind: 'time'; readonly hour: number; readonly minute: number; readonly second: number }
  | { readonly kind: 'digits'; readonly text: string; readonly separator: string }
  | { readonly kind: 'offset'; readonly text: string }
  | { readonly kind: 'word'; readonly text: string };

const time = /\s*(\d{1,2})\s{0,9}:\s{0,9}(\d{1,2})(?:\s{0,9}:\s{0,9}(\d{1,2})(?:[.,]\d{1,9})?)?(?!\d)/y;
const dottedTime = /\s*(\d{1,2})\.(\d{1,2})(?:\.(\d{1,2}))?(?!\d)/y;
const offset = /\s*([+-]\d{1,2}:?\d{2}|[+-]\d{1,2})(?![\d:])/y;
const digits = /\s*(\d{1,8})(?:st|nd|rd|th)?(?=([^a-z\d]?))/y;
const word = /\s*([\p{L}]{1,20})[.]?/uy;
const separator = /[\s,;/|'"._-]+|t(?=\d)/y;

/** What a date is made of. Anything else is a word that no date has. */
function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const result = pattern.exec(text);
    if (result) at = pattern.lastIndex;
    return result;
  };
  while (at < text.length && found.length < 20) {
    const previous = found.at(-1);
    const timeSeen = found.some(({ kind }) => kind === 'time');
    // Dots stand in dates as well: with day, month and year there, or two of them, what has dots is a time.
    let result = match(time) ?? (timeSeen || found.length < 3 ? null : match(dottedTime));
    if (result) {
      found.push({
        kind: 'time',
        hour: Number(result[1]),
        minute: Number(result[2]),
        second: Number(result[3] ?? 0),
      });
      continue;
    }
    // Before the time a dash separates day, month and year.
    result = timeSeen ? match(offset) : null;
    if (result) {
      found.push({ kind: 'offset', text: result[1] ?? '' });
      continue;
    }
    result = match(digits);
    if (result) {
      found.push({ kind: 'digits', text: result[1] ?? '', separator: result[2] ?? '' });
      continue;
    }
    if (previous?.kind === 'digits' && match(/t(?=\d)/y)) continue;
    result = match(word);
    if (result) found.push({ kind: 'word', text: result[1] ?? '' });
    else if (!match(separator)) return [{ kind: 'word', text: '?' }];
  }
  return found;
}

/** Gathers day, month, year, time and zone in whatever order they come. */
class DateParts {
  #numbers: { text: string; separator: string }[] = [];
  #month = -1;
  #monthFirst = false;
  #time: { hour: number; minute: number; second: number } | undefined;
  #half = '';
  #offset: string | undefined;
  #zone: string | undefined;
  #numbersBeforeTime = 0;
  #valid = true;

  /** False where the token has no place in a date. */
  add(token: Token, next: Token | undefined): boolean {
    switch (token.kind) {
      case 'time':
        if (this.#time) return false;
        this.#time = token;
        this.#numbersBeforeTime = this.#numbers.length;
        return true;
      case 'offset':
        if (this.#offset === undefined) this.#offset = token.text;
        else this.#valid = false;
        return true;
      case 'digits':
        // Behind a date that is whole: a zone that cannot be read.
        if (this.#time && this.#numbers.length === (this.#month < 0 ? 3 : 2)) this.#valid = false;
        else this.#numbers.push(token);
        return this.#numbers.length <= 3;
      case 'word':
        return this.#word(token.text, next);
    }
  }

  #word(text: string, next: Token | undefined): boolean {
    const month = text.length >= 3 ? months.indexOf(text.slice(0, 3)) : -1;
    if (month >= 0 && this.#month < 0 && !weekdays.test(text)) {
      this.#month = month;
      this.#monthFirst = this.#numbers.length === 0;
      return true;
    }
    if (this.#time === undefined) {
      // The name of the day in any language, in front; words between date and time are no date's, but people's.
      if (this.#numbers.length === 0 && this.#month < 0) return true;
      if (text !== 'at' && text !== 'of') return false;
      this.#valid = false;
      return true;
    }
    if (text === 'am' || text === 'pm') {
      this.#half = text;
      return true;
    }
    if (next?.kind === 'offset' && /^(?:gmt|utc?|z)$/.test(text)) return true;
    // `W. Europe Standard Time`: no zone that a table has.
    if (this.#zone !== undefined) this.#valid = false;
    this.#zone ??= text;
    return true;
  }

  compose(): ReadDate | undefined {
    const date = this.#month >= 0 ? this.#named() : this.#numeric();
    if (date === undefined) return undefined;
    const { year, month, day } = date;
    let { hour, minute, second } = this.#time ?? { hour: 0, minute: 0, second: 0 };
    if (this.#half !== '' && hour <= 12) hour = (hour % 12) + (this.#half === 'pm' ? 12 : 0);
    if (hour > 24 || minute > 59 || second > 60 || year < 1000 || year > 9999) return undefined;
    // A leap second counts as the one before it.
    second = Math.min(second, 59);
    const midnight = new Date(Date.UTC(year, month, day));
    if (midnight.getUTCMonth() !== month || midnight.getUTCDate() !== day) return undefined;
    const zone = zoneMinutes(this.#offset, this.#zone);
    if (!zone.known) this.#valid = false;
    const instant = new Date(Date.UTC(year, month, day, hour, minute, second) - zone.minutes * 60_000);
    if (instant.getUTCFullYear() < 1000 || instant.getUTCFullYear() > 9999) return undefined;
    return { instant: instant.toISOString(), valid: this.#valid };
  }

  /** With the name of the month: day and year in that order, or the year first where it cannot be a day. */
  #named(): { year: number; month: number; day: number } | undefined {
    const [first, second, third] = this.#numbers;
    if (first === undefined || second === undefined || third !== undefined) return undefined;
    const turned = first.text.length === 4;
    const [day, year] = turned ? [second.text, first.text] : [first.text, second.text];
    if (day.length > 2) return undefined;
    // `asctime` puts the month first, and the time before the year.
    if (turned || (this.#monthFirst && !this.#isAsctime())) this.#valid = false;
    return { year: this.#fullYear(year), month: this.#month, day: Number(day) };
  }

  #isAsctime(): boolean {
    return this.#time !== undefined && this.#numbersBeforeTime === 1 && this.#numbers[0]?.separator !== ',';
  }

  /** Digits alone: ISO 8601 (`2006-01-02`, `20060102`), or with the day, or the month, first where that is certain. */
  #numeric(): { year: number; month: number; day: number } | undefined {
    const [first, second, third] = this.#numbers;
    if (first === undefined) return undefined;
    if (second === undefined) {
      if (first.text.length !== 8) return undefined;
      return {
        year: Number(first.text.slice(0, 4)),
        month: Number(first.text.slice(4, 6)) - 1,
        day: Number(first.text.slice(6)),
      };
    }
    if (third === undefined) return undefined;
    const [a, b, c] = [Number(first.text), Number(second.text), Number(third.text)];
    if (first.text.length === 4) {
      if (first.separator !== '-') this.#valid = false;
      return { year: a, month: b - 1, day: c };
    }
    this.#valid = false;
    if (third.text.length !== 4) return undefined;
    if (first.separator === '.') return { year: c, month: b - 1, day: a };
    if (a > 12) return { year: c, month: b - 1, day: a };
    // Twelve-hour clocks go with the month first; without one only a day above 12 decides.
    if (b > 12 || this.#half !== '' || a === b) return { year: c, month: a - 1, day: b };
    return undefined;
  }

  /** RFC 5322 section 4.3: two digits below 50 are of this century, three digits count from 1900. */
  #fullYear(text: string): number {
    const year = Number(text);
    if (text.length === 2) return year < 50 ? 2000 + year : 1900 + year;
    if (text.length === 3) return 1900 + year;
    // Programs that print `19` and the years since 1900, or two digits as four.
    if (/^191\d\d$/.test(text)) {
      this.#valid = false;
      return 1900 + Number(text.slice(2));
    }
    if (/^00\d\d$/.test(text)) {
      this.#valid = false;
      return year < 50 ? 2000 + year : 1900 + year;
    }
    return year;
  }
}
