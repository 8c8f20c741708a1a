import type { Mistake } from '../../platform/refusal.ts';
import { atProperty, type GivenProperty, type PropertyReport } from './properties-form.ts';

type Outcome = PropertyReport['outcome'];

/** From the mildest to the worst: of several outcomes of a property the worst one is reported. */
const severity: readonly Outcome[] = ['ignored', 'wrongPrefix', 'used', 'insecure'];

interface Finding {
  readonly outcome: Outcome;
  readonly details: readonly string[];
}

interface PropertyMistake {
  readonly name: string;
  readonly detail: string;
}

/** Pairs of quotes: as old manuals print them, as shells want them, and as word processors make them. */
const quotes: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\u201c': '\u201d',
  '\u201e': '\u201c',
  '\u2018': '\u2019',
};

/** In quotes as a whole: Java takes the quotes for a part of the value. */
function isQuoted(text: string): boolean {
  const close = quotes[text.charAt(0)];
  return close !== undefined && text.length >= 2 && text.indexOf(close, 1) === text.length - 1;
}

const unquoted = (text: string): string => (isQuoted(text) ? text.slice(1, -1).trim() : text);

/** Why a value may be wrong: what is a comment or an end of line in other kinds of files. Nothing of a secret. */
function writingHint(name: string, text: string | undefined): string {
  if (text === undefined || /(password|secret)$/.test(name)) return '';
  if (/\s[#!]/.test(text)) return '; a comment behind a value is a part of it';
  if (/[;,]$/.test(text)) return `; the ${text.slice(-1)} at its end is a part of it`;
  return '';
}

/** Notes on quotes and white space, where a value may be meant otherwise than it is read. */
function writingNotes({ name, value }: GivenProperty): readonly string[] {
  const isPassword = name.endsWith('password');
  return [
    ...(isQuoted(value.trim())
      ? [
          isPassword
            ? 'the quotes around it are taken for a part of the password'
            : 'understood without the quotes around it',
        ]
      : []),
    ...(isPassword && value !== value.trim() ? ['the white space around it is taken for a part of the password'] : []),
  ];
}

/** Integers as Jakarta Mail reads them (PropUtil.getInt): decimal, or hexadecimal after 0x. */
const integerForm = /^(?:[+-]?\d{1,10}|0x[0-9A-Fa-f]{1,8})$/;

/**
 * Reads the properties of one account, and notes what each becomes, what is wrong with it, and which field of the account
 * comes from it. A mistake in such a field is then reported at the property.
 */
export class PropertyReader {
  readonly #given: readonly GivenProperty[];
  readonly #effective: ReadonlyMap<string, GivenProperty>;
  readonly #findings = new Map<string, Finding>();
  readonly #mistakes: PropertyMistake[] = [];
  readonly #origins = new Map<string, string>();
  readonly #covered: string[] = [];

  constructor(given: readonly GivenProperty[]) {
    this.#given = given;
    // Of several by one name the last one counts, as in Java.
    this.#effective = new Map(given.map((property) => [property.name, property]));
  }

  /** True if the property is given and not empty. */
  has(name: string): boolean {
    return this.text(name) !== undefined;
  }

  /** The value without white space and quotes around it; undefined where the property is absent or empty. */
  text(name: string): string | undefined {
    return unquoted(this.#effective.get(name)?.value.trim() ?? '') || undefined;
  }

  /** A secret value, every character of it. */
  secret(name: string): string | undefined {
    return this.has(name) ? this.#effective.get(name)?.value : undefined;
  }

  /** Undefined where it is absent, empty, or wrong, which is finding. */
  boolean(name: string): boolean | undefined {
    const text = this.text(name)?.toLowerCase();
    if (text === undefined || text === 'true' || text === 'false') return text && text === 'true';
    this.wrong(name, 'must be true or false');
    return undefined;
  }

  /** A whole number within the bounds, which both count as allowed. Undefined as with `boolean`. */
  integer(name: string, { from = -Infinity, to = Infinity } = {}): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = integerForm.test(text) ? Number(text) : Number.NaN;
    if (value >= from && value <= to) return value;
    const most = to === Infinity ? '' : ` of at most ${to}`;
    this.wrong(name, `must be a whole number${from === -Infinity ? most : ` from ${from} to ${to}`}`);
    return undefined;
  }

  used(name: string, detail: string): void {
    this.#note(name, 'used', detail);
  }

  insecure(name: string, detail: string): void {
    this.#note(name, 'insecure', detail);
  }

  ignored(name: string, detail: string): void {
    this.#note(name, 'ignored', detail);
  }

  wrongPrefix(name: string, detail: string): void {
    this.#note(name, 'wrongPrefix', detail);
  }

  /** Notes a mistake at a property, given or missing. `covers`: the account's field that is missing or wrong because of it. */
  wrong(name: string, reason: string, covers?: string): void {
    const detail = `${reason}${writingHint(name, this.text(name))}`;
    if (!this.#mistakes.some((mistake) => mistake.name === name && mistake.detail === detail))
      this.#mistakes.push({ name, detail });
    if (covers !== undefined) this.#covered.push(covers);
  }

  /** The field of the account (JSON pointer) comes from this property. */
  origin(field: string, name: string): void {
    this.#origins.set(field, name);
  }

  /**
   * Takes the mistakes of the account that was made of the properties: one in a field with an `origin` becomes a mistake of
   * that property. Answers the others.
   */
  takeAccountMistakes(mistakes: readonly Mistake[]): readonly Mistake[] {
    const within = (pointer: string, field: string) => pointer === field || pointer.startsWith(`${field}/`);
    const others: Mistake[] = [];
    for (const mistake of mistakes) {
      const { pointer, detail } = mistake;
      if (this.#covered.some((field) => within(pointer, field))) continue;
      const field = [...this.#origins.keys()]
        .filter((each) => within(pointer, each))
        .sort((a, b) => b.length - a.length)[0];
      const name = field === undefined ? undefined : this.#origins.get(field);
      if (name === undefined) others.push(mistake);
      else this.wrong(name, detail);
    }
    return others;
  }

  /** Every mistake so far, in the order of the properties; those of missing properties come last. */
  mistakes(): readonly Mistake[] {
    const text = this.#given.some(({ line }) => line !== undefined);
    const place = ({ name }: PropertyMistake) => {
      const property = this.#effective.get(name);
      return property ? this.#given.indexOf(property) : this.#given.length;
    };
    const ordered = [...this.#mistakes].sort((a, b) => place(a) - place(b));
    return ordered.map(({ name, detail }) => {
      const property = this.#effective.get(name);
      if (property) return atProperty(property, detail);
      return text ? { pointer: '/properties', detail: `${name} ${detail}` } : atProperty({ name }, detail);
    });
  }

  /** One entry for every property given, in their order. `explainUnused` describes those that were never read. */
  report(explainUnused: (name: string) => Omit<PropertyReport, 'name'>): readonly PropertyReport[] {
    return this.#given.map((property): PropertyReport => {
      const { name } = property;
      const effective = this.#effective.get(name);
      if (effective !== property)
        return { name, outcome: 'ignored', detail: `given again in line ${effective?.line}, which counts` };
      const mistakes = this.#mistakes.filter((mistake) => mistake.name === name);
      if (mistakes.length > 0)
        return { name, outcome: 'ignored', detail: `wrong: ${mistakes.map(({ detail }) => detail).join('; ')}` };
      const finding = this.#findings.get(name);
      if (finding) {
        return { name, outcome: finding.outcome, detail: [...finding.details, ...writingNotes(property)].join('; ') };
      }
      return this.has(name) ? { name, ...explainUnused(name) } : { name, outcome: 'ignored', detail: 'is empty' };
    });
  }

  #note(name: string, outcome: Outcome, detail: string): void {
    if (!this.has(name)) return;
    const finding = this.#findings.get(name);
    if (finding === undefined) this.#findings.set(name, { outcome, details: [detail] });
    else {
      const worse = severity.indexOf(outcome) > severity.indexOf(finding.outcome);
      this.#findings.set(name, {
        outcome: worse ? outcome : finding.outcome,
        details: finding.details.includes(detail) ? finding.details : [...finding.details, detail],
      });
    }
  }
}
