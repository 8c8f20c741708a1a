import type { Row } from './row-types.ts';

/** Storage keeps at most 32 Ki UTF-16 units in one string property; longer texts are cut over several. */
const maxPropertyLength = 32_000;

/**
 * JSON in ASCII alone: a character cut in two between chunks of a request was seen to be lost in Azurite.
 */
function asciiJson(document: unknown): string {
  return JSON.stringify(document).replace(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A JSON document for one column; undefined where it is too long for one. */
export function jsonColumn(document: unknown): string | undefined {
  const text = asciiJson(document);
  return text.length <= maxPropertyLength ? text : undefined;
}

/** Columns for a JSON document of any length up to the entity's 1 MiB: `json0`, `json1`, ... */
export function jsonColumns(document: unknown): Record<string, string> {
  const text = asciiJson(document);
  const columns: Record<string, string> = {};
  for (let part = 0; part * maxPropertyLength < text.length; part += 1) {
    columns[`json${part}`] = text.slice(part * maxPropertyLength, (part + 1) * maxPropertyLength);
  }
  return columns;
}

/** The document that `jsonColumns` cut up; still to be parsed by a schema. */
export function jsonOf(row: Pick<Row, 'columns'>): unknown {
  let text = '';
  for (let part = 0; ; part += 1) {
    const piece = row.columns[`json${part}`];
    if (typeof piece !== 'string') {
      break;
    }
    text += piece;
  }
  return text === '' ? undefined : JSON.parse(text);
}
