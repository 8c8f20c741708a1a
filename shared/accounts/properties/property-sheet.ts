import type { Mistake } from '../../http/problem.ts';
import { atProperty, type GivenProperty, type PropertyReport } from './properties-form.ts';

type Outcome = PropertyReport['outcome'];

/** The worst word about a property is its outcome. */
const severity: readonly Outcome[] = ['ignored', 'wrongPrefix', 'used', 'insecure'];

interface Told {
  readonly outcome: Outcome;
  readonly details: readonly string[];
}

interface Fault {
  readonly name: string;
  readonly detail: string;
}

/** Integers as Jakarta Mail reads them (PropUtil.getInt): decimal, or hexadecimal after 0x. */
const integerForm = /^(?:[+-]?\d{1,10}|0x[0-9A-Fa-f]{1,8})$/;

/**
 * The properties of one account while they are read: what each became, what is wrong with it, and which field of the
 * account came from which. A mistake in that field is then told at the property.
 */
export class PropertySheet {
  readonly #given: readonly GivenProperty[];
  readonly #effective: ReadonlyMap<string, GivenProperty>;
  readonly #told = new Map<string, Told>();
  readonly #faults: Fault[] = [];
  readonly #origins = new Map<string, string>();
  readonly #covered: string[] = [];

  constructor(given: readonly GivenProperty[]) {
    this.#given = given;
    // Of several by one name the last one counts, as in Java.
    this.#effective = new Map(given.map((property) => [property.name, property]));
  }

  /** True where the property is there and says something. */
  has(name: string): boolean {
    return this.text(name) !== undefined;
  }

  /** The value without white space around it; undefined where the property is absent or empty. */
  text(name: string): string | undefined {
    return this.#effective.get(name)?.value.trim() || undefined;
  }

  /** A secret value, every character of it. */
  secret(name: string): string | undefined {
    return this.has(name) ? this.#effective.get(name)?.value : undefined;
  }

  /** Undefined where it is absent, empty, or wrong, which is told. */
  boolean(name: string): boolean | undefined {
    const text = this.text(name)?.toLowerCase();
    if (text === undefined || text === 'true' || text === 'false') return text && text === 'true';
    this.wrong(name, 'must be true or false');
    return undefined;
  }

  /** Likewise. */
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
    this.#tell(name, 'used', detail);
  }

  insecure(name: string, detail: string): void {
    this.#tell(name, 'insecure', detail);
  }

  ignored(name: string, detail: string): void {
    this.#tell(name, 'ignored', detail);
  }

  wrongPrefix(name: string, detail: string): void {
    this.#tell(name, 'wrongPrefix', detail);
  }

  /** A mistake at a property, given or missing. `covers`: field of the account that has a mistake for this reason. */
  wrong(name: string, detail: string, covers?: string): void {
    if (!this.#faults.some((fault) => fault.name === name && fault.detail === detail))
      this.#faults.push({ name, detail });
    if (covers !== undefined) this.#covered.push(covers);
  }

  /** The field of the account (JSON pointer) comes from this property. */
  origin(field: string, name: string): void {
    this.#origins.set(field, name);
  }

  /** Mistakes in the account that was made of the properties, told at these. */
  takeAccountMistakes(mistakes: readonly Mistake[]): readonly Mistake[] {
    const within = (pointer: string, field: string) => pointer === field || pointer.startsWith(`${field}/`);
    const rest: Mistake[] = [];
    for (const mistake of mistakes) {
      const { pointer, detail } = mistake;
      if (this.#covered.some((field) => within(pointer, field))) continue;
      const field = [...this.#origins.keys()]
        .filter((each) => within(pointer, each))
        .sort((a, b) => b.length - a.length)[0];
      const name = field === undefined ? undefined : this.#origins.get(field);
      if (name === undefined) rest.push(mistake);
      else this.wrong(name, detail);
    }
    return rest;
  }

  /** Every mistake at a property so far, in the order of the properties; last come those at properties that are missing. */
  mistakes(): readonly Mistake[] {
    const text = this.#given.some(({ line }) => line !== undefined);
    const place = ({ name }: Fault) => {
      const property = this.#effective.get(name);
      return property ? this.#given.indexOf(property) : this.#given.length;
    };
    const ordered = [...this.#faults].sort((a, b) => place(a) - place(b));
    return ordered.map(({ name, detail }) => {
      const property = this.#effective.get(name);
      if (property) return atProperty(property, detail);
      return text ? { pointer: '/properties', detail: `${name} ${detail}` } : atProperty({ name }, detail);
    });
  }

  /** One entry for every property given, in their order. `otherwise` says what those are that nobody spoke of. */
  report(otherwise: (name: string) => Omit<PropertyReport, 'name'>): readonly PropertyReport[] {
    return this.#given.map((property): PropertyReport => {
      const { name } = property;
      const effective = this.#effective.get(name);
      if (effective !== property)
        return { name, outcome: 'ignored', detail: `given again in line ${effective?.line}, which counts` };
      const faults = this.#faults.filter((fault) => fault.name === name);
      if (faults.length > 0)
        return { name, outcome: 'ignored', detail: `wrong: ${faults.map(({ detail }) => detail).join('; ')}` };
      const told = this.#told.get(name);
      if (told) return { name, outcome: told.outcome, detail: told.details.join('; ') };
      return this.has(name) ? { name, ...otherwise(name) } : { name, outcome: 'ignored', detail: 'is empty' };
    });
  }

  #tell(name: string, outcome: Outcome, detail: string): void {
    if (!this.has(name)) return;
    const told = this.#told.get(name);
    if (told === undefined) this.#told.set(name, { outcome, details: [detail] });
    else {
      const worse = severity.indexOf(outcome) > severity.indexOf(told.outcome);
      this.#told.set(name, {
        outcome: worse ? outcome : told.outcome,
        details: told.details.includes(detail) ? told.details : [...told.details, detail],
      });
    }
  }
}
