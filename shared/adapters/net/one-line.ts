/** A server's words on one line: without control characters, white space as single blanks, `longest` characters at most. */
export function oneLine(text: string, longest = Number.POSITIVE_INFINITY): string {
  return text
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, longest);
}
