/** True when a route value satisfies the constraint. */
export type Constraint = (value: string) => boolean;

const INT32 = [-2_147_483_648n, 2_147_483_647n] as const;
const INT64 = [-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n] as const;
const INTEGER = /^\s*[+-]?\d{1,20}\s*$/;
const NUMBER = /^\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i;
const GUID =
  /^(?:[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|\([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\))$/i;

function integerIn(value: string, [low, high]: readonly [bigint, bigint]): boolean {
  if (!INTEGER.test(value)) return false;
  const number = BigInt(value.trim().replace(/^\+/, ''));
  return number >= low && number <= high;
}

const PLAIN: Readonly<Record<string, Constraint>> = {
  int: (value) => integerIn(value, INT32),
  long: (value) => integerIn(value, INT64),
  bool: (value) => /^\s*(true|false)\s*$/i.test(value),
  guid: (value) => GUID.test(value),
  alpha: (value) => /^[a-z]*$/i.test(value),
  datetime: (value) => !Number.isNaN(Date.parse(value)),
  decimal: (value) => NUMBER.test(value),
  double: (value) => NUMBER.test(value),
  float: (value) => NUMBER.test(value),
  required: (value) => value !== '',
};

const wholes = (text: string): readonly bigint[] | undefined => {
  const parts = text.split(',');
  return parts.every((part) => INTEGER.test(part)) ? parts.map((part) => BigInt(part.trim())) : undefined;
};

const WITH_ARGUMENTS: Readonly<Record<string, (text: string) => Constraint | undefined>> = {
  min: (text) =>
    bounded(
      text,
      1,
      ([low]) =>
        (number) =>
          number >= (low ?? 0n),
    ),
  max: (text) =>
    bounded(
      text,
      1,
      ([high]) =>
        (number) =>
          number <= (high ?? 0n),
    ),
  range: (text) =>
    bounded(
      text,
      2,
      ([low, high]) =>
        (number) =>
          number >= (low ?? 0n) && number <= (high ?? 0n),
    ),
  minlength: (text) =>
    lengths(
      text,
      1,
      ([low]) =>
        (length) =>
          length >= Number(low),
    ),
  maxlength: (text) =>
    lengths(
      text,
      1,
      ([high]) =>
        (length) =>
          length <= Number(high),
    ),
  length: (text) =>
    text.includes(',')
      ? lengths(
          text,
          2,
          ([low, high]) =>
            (length) =>
              length >= Number(low) && length <= Number(high),
        )
      : lengths(
          text,
          1,
          ([exact]) =>
            (length) =>
              length === Number(exact),
        ),
  // ASP.NET Core matches with IgnoreCase and CultureInvariant.
  regex: (text) => {
    const pattern = new RegExp(text, 'i');
    return (value) => pattern.test(value);
  },
};

function bounded(
  text: string,
  count: number,
  make: (limits: readonly bigint[]) => (number: bigint) => boolean,
): Constraint | undefined {
  const limits = wholes(text);
  if (limits?.length !== count) return undefined;
  const test = make(limits);
  return (value) => integerIn(value, INT64) && test(BigInt(value.trim().replace(/^\+/, '')));
}

function lengths(
  text: string,
  count: number,
  make: (limits: readonly bigint[]) => (length: number) => boolean,
): Constraint | undefined {
  const limits = wholes(text);
  if (limits?.length !== count) return undefined;
  const test = make(limits);
  return (value) => test(value.length);
}

/**
 * Reads an inline constraint such as `int`, `range(1,9)` or `regex(^a$)` (ASP.NET Core: "route constraints").
 *
 * @throws for one that is not known or whose arguments make no sense.
 */
export function parseConstraint(text: string): Constraint {
  const match = /^([a-z]+)(?:\((.*)\))?$/is.exec(text);
  const name = match?.[1]?.toLowerCase() ?? '';
  const argument = match?.[2];
  const constraint = argument === undefined ? own(PLAIN, name) : own(WITH_ARGUMENTS, name)?.(argument);
  if (!constraint) throw new Error(`route constraint "${text}" is not known`);
  return constraint;
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
