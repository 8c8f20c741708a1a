import { createHash } from 'node:crypto';
import { InfraError } from './program.ts';

export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value };

/** What Azure says of itself; the public cloud's. */
const environment: Value = {
  suffixes: { storage: 'core.windows.net', keyvaultDns: '.vault.azure.net' },
  authentication: { loginEndpoint: 'https://login.microsoftonline.com/' },
};

const hash = (args: readonly Value[]) => createHash('sha256').update(JSON.stringify(args)).digest('hex');

/** `Microsoft.Storage/storageAccounts/blobServices`, [a, default] → `Microsoft.Storage/storageAccounts/a/blobServices/default`. */
export function resourceId(type: string, names: readonly string[]): string {
  const [namespace = '', ...kinds] = type.split('/');
  if (kinds.length !== names.length) throw new InfraError(`${type} does not have ${names.length} names`);
  return [namespace, ...kinds.flatMap((kind, i) => [kind, names[i] ?? ''])].join('/');
}

function text(value: Value | undefined): string {
  if (typeof value !== 'string') throw new InfraError(`Text expected, not ${JSON.stringify(value)}`);
  return value;
}

function number(value: Value | undefined): number {
  if (typeof value !== 'number') throw new InfraError(`Number expected, not ${JSON.stringify(value)}`);
  return value;
}

function list(value: Value | undefined): readonly Value[] {
  if (!Array.isArray(value)) throw new InfraError(`List expected, not ${JSON.stringify(value)}`);
  return value;
}

/** Whether a value is an object, and no list. */
export function isObject(value: Value | undefined): value is { readonly [key: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function size(value: Value | undefined): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  if (isObject(value)) return Object.keys(value).length;
  throw new InfraError(`${JSON.stringify(value)} has no length`);
}

/** Objects are joined, what comes later winning; so are lists, each value once. */
function union(args: readonly Value[]): Value {
  if (args.every((arg) => isObject(arg))) return Object.assign({}, ...args);
  const seen = new Map(args.flatMap((arg) => list(arg)).map((value) => [JSON.stringify(value), value]));
  return [...seen.values()];
}

function createObject(args: readonly Value[]): Value {
  const made: Record<string, Value> = {};
  for (let i = 0; i + 1 < args.length; i += 2) made[text(args[i])] = args[i + 1] ?? null;
  return made;
}

/** As text, the way format() and interpolation put values in. */
export function asText(value: Value): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** `if`, `and`, `or` and `reference` are the evaluator's: not all that they are given is worked out. */
const functions: Readonly<Record<string, (args: readonly Value[]) => Value>> = {
  add: ([a, b]) => number(a) + number(b),
  sub: ([a, b]) => number(a) - number(b),
  mul: ([a, b]) => number(a) * number(b),
  not: ([a]) => a !== true,
  equals: ([a, b]) => JSON.stringify(a) === JSON.stringify(b),
  greater: ([a, b]) => number(a) > number(b),
  greaterOrEquals: ([a, b]) => number(a) >= number(b),
  less: ([a, b]) => number(a) < number(b),
  lessOrEquals: ([a, b]) => number(a) <= number(b),
  cidrSubnet: ([prefix, bits, i]) => `${text(prefix)}:${number(bits)}:${number(i)}`,
  concat: (args) => (args.every((arg) => typeof arg === 'string') ? args.join('') : args.flatMap((arg) => list(arg))),
  createArray: (args) => args,
  createObject,
  deployment: () => ({ name: 'main' }),
  empty: ([value]) => value === null || size(value) === 0,
  environment: () => environment,
  format: ([pattern, ...args]) =>
    text(pattern).replace(/\{(\d+)\}/g, (_, i: string) => asText(args[Number(i)] ?? null)),
  guid: (args) => hash(args).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5'),
  indexOf: ([values, value]) => list(values).findIndex((one) => JSON.stringify(one) === JSON.stringify(value)),
  length: ([value]) => size(value),
  range: ([start, count]) => Array.from({ length: number(count) }, (_, i) => number(start) + i),
  replace: ([value, from, to]) => text(value).replaceAll(text(from), text(to)),
  resourceId: ([type, ...names]) => resourceId(text(type), names.map(text)),
  string: ([value]) => asText(value ?? null),
  subscription: () => ({ id: '/subscriptions/s', subscriptionId: 's', tenantId: 'tenant' }),
  subscriptionResourceId: ([type, ...names]) => resourceId(text(type), names.map(text)),
  toLower: ([value]) => text(value).toLowerCase(),
  union,
  uniqueString: (args) => hash(args).slice(0, 13),
};

/** Calls a function of Bicep or ARM. Throws InfraError for one that the check does not know. */
export function callFunction(name: string, args: readonly Value[]): Value {
  const implementation = functions[name];
  if (!implementation) throw new InfraError(`Function ${name}() is not known to this check`);
  return implementation(args);
}
