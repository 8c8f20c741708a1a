/**
 * Parses JSON in which comments and trailing commas may stand, as the real host's reader allows in host.json and
 * local.settings.json.
 *
 * @throws SyntaxError as JSON.parse does.
 */
export function parseJsonWithComments(text: string): unknown {
  const withoutComments = text
    .replace(/^\uFEFF/, '')
    .replace(/"(?:\\.|[^"\\])*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (token) => (token.startsWith('"') ? token : ' '));
  return JSON.parse(
    withoutComments.replace(/"(?:\\.|[^"\\])*"|,(?=\s*[}\]])/g, (token) => (token === ',' ? ' ' : token)),
  );
}
