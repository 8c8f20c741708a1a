import { badInput } from '../platform/refusal.ts';
import { toPointer } from '../platform/validation.ts';

/** What a JSON text may hold; its bytes are bounded by who reads it. */
export interface JsonBounds {
  /** Strings, numbers, objects, lists and so on, all together. */
  readonly maxValues: number;
  /** Names of fields that may hold more than 256 KiB of text. */
  readonly longFields?: readonly string[];
}

/** The requests of the API have five levels. */
const maxDepth = 32;
const maxStringBytes = 256 * 1024;
/** JSON patches, properties and headers are named by callers; no name is longer. */
const maxNameBytes = 1024;

const quote = 0x22;
const backslash = 0x5c;

interface Open {
  /** Names so far, of an object; undefined for a list. */
  readonly names: Set<string> | undefined;
  /** Where in it we are. */
  at: string | number;
}

/**
 * Looks through a JSON text before anything is made of it: how deep, how many values, how long, and whether a name
 * stands twice in an object (of which JSON.parse would silently drop one) or is `__proto__`. One pass, with memory for
 * the names of what is open; whether it is JSON at all is for JSON.parse to say. Throws Refusal `invalid`.
 */
export function checkJsonBounds(bytes: Buffer, { maxValues, longFields = [] }: JsonBounds): void {
  const open: Open[] = [];
  let values = 0;
  /** The string that stands here may be a name. */
  let atName = false;
  const refuse = (detail: string): never => {
    throw badInput([{ pointer: toPointer(open.map(({ at }) => at)), detail }]);
  };
  const count = () => {
    if (++values > maxValues) refuse(`the body holds more than ${maxValues} values`);
  };

  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    const inside = open.at(-1);
    switch (byte) {
      case quote: {
        const end = endOfString(bytes, at + 1);
        if (atName && inside?.names) {
          if (end - at > maxNameBytes) refuse(`a name in it is longer than ${maxNameBytes} bytes`);
          const name = nameOf(bytes.toString('utf8', at, end + 1));
          inside.at = name;
          if (name === '__proto__') refuse('must not be the name of a field');
          if (inside.names.has(name)) refuse('is there twice');
          inside.names.add(name);
          atName = false;
        } else {
          count();
          const isLong = end - at > maxStringBytes;
          if (isLong && !longFields.includes(String(inside?.at ?? '')))
            refuse(`is longer than ${maxStringBytes} bytes`);
        }
        at = end;
        break;
      }
      case 0x7b: // {
      case 0x5b: // [
        count();
        if (open.length >= maxDepth) refuse(`is nested more than ${maxDepth} deep`);
        open.push(byte === 0x7b ? { names: new Set(), at: '' } : { names: undefined, at: 0 });
        atName = byte === 0x7b;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        atName = false;
        break;
      case 0x2c: // ,
        if (inside && typeof inside.at === 'number') inside.at++;
        atName = inside?.names !== undefined;
        break;
      case 0x20:
      case 0x09:
      case 0x0a:
      case 0x0d:
      case 0x3a: // :
        break;
      default: {
        // A number or a word: one value, whatever its length.
        count();
        while (at + 1 < bytes.length && isWordByte(bytes[at + 1])) at++;
      }
    }
  }
}

function isWordByte(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x2e);
}

/** Index of the quote that ends a string which begins at `from`; the last index where none does. */
function endOfString(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(quote, from); at >= 0; at = bytes.indexOf(quote, at + 1)) {
    let slashes = 0;
    while (at - 1 - slashes >= from && bytes[at - 1 - slashes] === backslash) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return bytes.length - 1;
}

/** A name from its text, quotes and all. */
function nameOf(text: string): string {
  const name = text.slice(1, -1);
  if (!name.includes('\\')) return name;
  try {
    return String(JSON.parse(text));
  } catch {
    // Not JSON: the parser says so.
    return name;
  }
}
