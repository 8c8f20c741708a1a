import { propertyId } from './extended-property.ts';
import { badQuery } from './graph-error.ts';

/** One item of `$expand`. */
export interface Expansion {
  readonly name: string;
  /** `$select` within it. */
  readonly select: readonly string[] | undefined;
  /** Of extended properties: the ids asked for, with the form Exchange answers them in. */
  readonly propertyIds: readonly string[];
}

/** Names of `$select`; undefined where there is none. Throws for a name that the type does not have. */
export function parseSelect(value: string | null, known: ReadonlySet<string>): readonly string[] | undefined {
  if (value === null) return undefined;
  return value.split(',').map((part) => {
    const name = [...known].find((one) => one.toLowerCase() === part.trim().toLowerCase());
    if (name === undefined) {
      throw badQuery(`Parsing OData Select failed: there is no property named '${part.trim().slice(0, 60)}'.`);
    }
    return name;
  });
}

/** `$expand` of messages: attachments and extended properties. */
export function parseExpand(value: string | null, known: readonly string[]): readonly Expansion[] {
  if (value === null) return [];
  return splitTop(value, ',').map((part) => {
    const match = /^\s*([A-Za-z]+)\s*(?:\((.*)\))?\s*$/s.exec(part);
    const name = known.find((one) => one.toLowerCase() === match?.[1]?.toLowerCase());
    if (!match || name === undefined) throw badQuery('Parsing OData Expand failed.');
    let select: readonly string[] | undefined;
    let propertyIds: readonly string[] = [];
    for (const option of splitTop(match[2] ?? '', ';')) {
      const [key = '', text = ''] = [
        option.slice(0, option.indexOf('=')).trim(),
        option.slice(option.indexOf('=') + 1),
      ];
      if (option.trim() === '') continue;
      if (key === '$select') select = text.split(',').map((one) => one.trim());
      else if (key === '$filter' && name.endsWith('ValueExtendedProperties')) propertyIds = idsOf(text);
      else throw badQuery('Parsing OData Expand failed: an option is not understood.');
    }
    if (name.endsWith('ValueExtendedProperties') && propertyIds.length === 0) {
      throw badQuery('Extended properties can only be expanded with a $filter on their id.');
    }
    return { name, select, propertyIds };
  });
}

/** `id eq 'String 0x1042' or id eq '…'`. */
function idsOf(filter: string): readonly string[] {
  return filter.split(/\s+or\s+/i).map((part) => {
    const text = /^\s*\(?\s*id\s+eq\s+'((?:[^']|'')*)'\s*\)?\s*$/i.exec(part)?.[1];
    const id = text === undefined ? undefined : propertyId(text.replaceAll("''", "'"));
    if (id === undefined) throw badQuery('The filter of an extended property is not understood.');
    return id;
  });
}

export interface Order {
  readonly property: string;
  readonly descending: boolean;
}

/** Reads `$orderby`. Throws GraphRefusal 400 for a property that is not `known`. */
export function parseOrderBy(value: string | null, known: ReadonlySet<string>): readonly Order[] {
  if (value === null) return [];
  return value.split(',').map((part) => {
    const [name = '', direction = 'asc', ...more] = part.trim().split(/\s+/);
    const property = [...known].find((one) => one.toLowerCase() === name.toLowerCase());
    if (property === undefined || more.length > 0 || !/^(asc|desc)$/i.test(direction)) {
      throw badQuery('Parsing OData OrderBy failed.');
    }
    return { property, descending: direction.toLowerCase() === 'desc' };
  });
}

/** Splits at a character outside parentheses and quotes. */
function splitTop(text: string, separator: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let quoted = false;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === "'") quoted = !quoted;
    else if (quoted) continue;
    else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === separator && depth === 0) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return [...parts, text.slice(from)];
}
