import type { Expected } from '../expected.ts';
import type { Deployment, Resource } from '../read/deployment.ts';
import { isObject, type Value } from '../read/functions.ts';

/** What a rule looks at: what is deployed with one set of parameters. */
export interface Subject {
  readonly deployment: Deployment;
  readonly expected: Expected;
  /** Everything that can be switched on is on: network, sign-in, mail to operators, private clouds. */
  readonly everything: boolean;
}

/** Yields one line per thing that is wrong. */
export type Rule = (subject: Subject) => Iterable<string>;

/** Every resource of a type, such as `Microsoft.Storage/storageAccounts`. */
export function ofType({ deployment }: Subject, type: string): readonly Resource[] {
  return deployment.resources.filter((resource) => resource.type === type);
}

/** The value at `properties.networkAcls.bypass`; undefined where there is none. */
export function at(resource: Resource, path: string): Value | undefined {
  let value: Value | undefined = resource.body;
  for (const key of path.split('.')) {
    value = isObject(value) ? value[key] : undefined;
  }
  return value;
}

/** The texts in a list; nothing where there is no list. */
export function strings(value: Value | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((one: Value) => typeof one === 'string') : [];
}

export const same = (a: Value | undefined, b: Value | undefined) => JSON.stringify(a) === JSON.stringify(b);

/** What is in one list and not in the other, as findings. */
export function* differences(what: string, is: readonly string[], shouldBe: readonly string[]): Iterable<string> {
  for (const name of shouldBe) if (!is.includes(name)) yield `${what}: ${name} is missing`;
  for (const name of is) if (!shouldBe.includes(name)) yield `${what}: ${name} should not be there`;
  for (const name of new Set(is)) {
    if (is.filter((one) => one === name).length > 1) yield `${what}: ${name} is there twice`;
  }
}

/** Host and mail storage are distinguished by what their names begin with. */
export const isMailStorage = (id: string) => /^Microsoft\.Storage\/storageAccounts\/stmail/.test(id);
