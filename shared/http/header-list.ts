/** Longer than any list that a client has reason to send; what is longer is not read. */
const maxHeaderLength = 8192;

/**
 * The members of a header that is a list (RFC 9110 section 5.6.1), each trimmed, empty ones left out; commas inside quoted
 * strings part nothing, and with `escapes` a backslash in one makes the next
 * character its own. A single pass: what a caller writes into a header costs no more than its length. Undefined where
 * the header is too long or a quoted string does not end.
 */
export function listMembers(
  header: string,
  { escapes = false }: { readonly escapes?: boolean } = {},
): readonly string[] | undefined {
  if (header.length > maxHeaderLength) return undefined;
  const members: string[] = [];
  let begin = 0;
  let quoted = false;
  const end = (at: number) => {
    const member = header.slice(begin, at).trim();
    if (member !== '') members.push(member);
    begin = at + 1;
  };
  for (let at = 0; at < header.length; at++) {
    const character = header[at];
    if (character === '"') quoted = !quoted;
    else if (escapes && quoted && character === '\\') at++;
    else if (character === ',' && !quoted) end(at);
  }
  if (quoted) return undefined;
  end(header.length);
  return members;
}
