import { controlCharacters } from '../address.ts';
import type { PropertyReader } from './property-reader.ts';

/** A value for Key Vault that was found in a property. */
export interface NewSecret {
  readonly name: string;
  readonly value: string;
  readonly property: string;
}

/** Each secret once: both endpoints may have theirs from one property. Notes a mistake for a value that cannot be a secret. */
export function distinctSecrets(reader: PropertyReader, secrets: readonly NewSecret[]): readonly NewSecret[] {
  const byName = new Map<string, NewSecret>();
  for (const secret of secrets) {
    const { name, value, property } = secret;
    if (controlCharacters.test(value)) reader.wrong(property, 'must not contain line breaks or control characters');
    byName.set(name, secret);
  }
  return [...byName.values()];
}
