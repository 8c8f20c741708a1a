import { call, type Expression, InfraError, literal } from './program.ts';

/**
 * The expression language of ARM templates: calls, literals, properties, indexes. Microsoft: "Syntax and expressions in
 * ARM templates".
 */
export function parseArmExpression(source: string): Expression {
  const tokens = [...source.matchAll(/\s*('(?:[^']|'')*'|-?\d+|[A-Za-z_][\w]*|[()[\].,])/gy)].map(
    (match) => match[1] ?? '',
  );
  if (tokens.join('').length !== source.replace(/\s+(?=(?:[^']*'[^']*')*[^']*$)/g, '').length) {
    throw new InfraError(`ARM expression not understood: ${source}`);
  }
  let at = 0;
  const nextToken = (expected?: string): string => {
    const token = tokens[at];
    if (token === undefined || (expected !== undefined && token !== expected)) {
      throw new InfraError(`ARM expression: ${expected ?? 'more'} expected, ${token ?? 'its end'} found in ${source}`);
    }
    at += 1;
    return token;
  };
  const list = (): readonly Expression[] => {
    const items: Expression[] = [];
    nextToken('(');
    while (tokens[at] !== ')') {
      items.push(expression());
      if (tokens[at] === ',') nextToken();
    }
    nextToken(')');
    return items;
  };
  const primary = (): Expression => {
    const token = nextToken();
    if (token.startsWith("'")) return literal(token.slice(1, -1).replaceAll("''", "'"));
    if (/^-?\d/.test(token)) return literal(Number(token));
    return plainCall(token, list());
  };
  const expression = (): Expression => {
    let value = primary();
    for (;;) {
      if (tokens[at] === '.') {
        nextToken();
        value = { kind: 'property', of: value, name: nextToken() };
      } else if (tokens[at] === '[') {
        nextToken();
        value = { kind: 'index', of: value, index: expression() };
        nextToken(']');
      } else {
        return value;
      }
    }
  };
  const parsed = expression();
  if (at < tokens.length) throw new InfraError(`ARM expression: ${tokens[at]} not expected in ${source}`);
  return parsed;
}

export const copyName = (copy: string) => `copyIndex:${copy}`;

/** Names and literals are calls in ARM; here they are what they are in Bicep. */
function plainCall(name: string, args: readonly Expression[]): Expression {
  const [first] = args;
  const text = first?.kind === 'literal' ? String(first.value) : undefined;
  if ((name === 'parameters' || name === 'variables') && text !== undefined) return { kind: 'name', name: text };
  if (name === 'copyIndex' && (first === undefined || text !== undefined)) {
    return { kind: 'name', name: copyName(text ?? '') };
  }
  if (name === 'true' || name === 'false') return literal(name === 'true');
  if (name === 'null') return literal(null);
  return call(name, ...args);
}
