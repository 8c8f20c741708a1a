const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Deepest nesting and most values of an answer: what Graph answers is some six deep, a page of 1,000 mails 10,000 values. */
const jsonLimits = { depth: 32, values: 200_000 } as const;

/**
 * Whether a JSON text is within the limits, seen without making anything of it: parsed, a value of two octets takes dozens.
 * Of a text that is no JSON the answer means nothing. Linear.
 */
export function isWithinLimits(
  text: Uint8Array,
  limits: { readonly depth: number; readonly values: number } = jsonLimits,
) {
  let depth = 0;
  let values = 1;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const octet = text[at];
    if (inString) {
      if (octet === BACKSLASH) at += 1;
      else if (octet === QUOTE) inString = false;
      continue;
    }
    if (octet === QUOTE) inString = true;
    else if (octet === COMMA) values += 1;
    else if (octet === OPEN_LIST || octet === OPEN_OBJECT) {
      depth += 1;
      values += 1;
    } else if (octet === CLOSE_LIST || octet === CLOSE_OBJECT) depth -= 1;
    if (depth > limits.depth || values > limits.values) return false;
  }
  return true;
}
