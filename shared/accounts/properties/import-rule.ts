import { peek } from '../../platform/validation.ts';
import { maxAfterDays } from '../model.ts';
import type { PropertyReader } from './property-reader.ts';
import type { DeclaredProtocols } from './protocols.ts';

/** The import rule: what the body says, and of the properties only what it leaves open. */
export function mapImport(reader: PropertyReader, protocols: DeclaredProtocols, given: unknown): unknown {
  const names = ['mail.import.deletedelta_day', 'deletedelta_day'] as const;
  const name = names.find((each) => reader.has(each));
  if (name === undefined) return given ?? {};
  const [first, second] = names;
  if (name === first) reader.ignored(second, `${first} is given as well`);
  const days = reader.integer(name, { to: maxAfterDays });
  const decided = ['delete', 'moveTo'].find((field) => (peek(given, [field]) ?? undefined) !== undefined);
  if (decided !== undefined) {
    reader.ignored(name, `import.${decided} of the request decides`);
    return given;
  }
  if (protocols.store === undefined) {
    reader.ignored(name, 'there is no store to import from');
    return given ?? {};
  }
  if (days === undefined) return given ?? {};
  const rule = days > 0 ? { afterDays: days } : days === 0 ? 'immediately' : 'never';
  reader.used(
    name,
    days > 0
      ? `import.delete: ${days} × 24 hours after the import`
      : days === 0
        ? 'import.delete is immediately: 0 days after the import'
        : 'import.delete is never: less than 0 days',
  );
  // Anything but an object is a mistake of its own.
  return given === undefined || (typeof given === 'object' && given !== null && !Array.isArray(given))
    ? { ...given, delete: rule }
    : given;
}
