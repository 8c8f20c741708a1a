import { type Node, part, parts } from './bicep-syntax.ts';
import { call, type Expression, InfraError, type Loop, literal } from './program.ts';

/** The ARM functions that Bicep's operators compile to. */
const operators: Readonly<Record<string, string>> = {
  '&&': 'and',
  '||': 'or',
  '==': 'equals',
  '>': 'greater',
  '>=': 'greaterOrEquals',
  '<': 'less',
  '<=': 'lessOrEquals',
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
};

const escapes: Readonly<Record<string, string>> = {
  "\\'": "'",
  '\\\\': '\\',
  '\\n': '\n',
  '\\r': '\r',
  '\\t': '\t',
  '\\$': '$',
};

/** Gives the text of a file that the source loads. */
export type LoadText = (path: string) => string;

/** An expression of the source. Throws InfraError for what the check does not know. */
export function bicepExpression(node: Node, load: LoadText): Expression {
  const of = (child: Node) => bicepExpression(child, load);
  switch (node.type) {
    case 'string':
      return textOf(node, load);
    case 'number':
      return literal(Number(node.text));
    case 'boolean':
      return literal(node.text === 'true');
    case 'null':
      return literal(null);
    case 'identifier':
      return { kind: 'name', name: node.text };
    case 'parenthesized_expression':
      return of(part(node, 0));
    case 'array':
      return { kind: 'array', items: parts(node).map(of) };
    case 'object':
      return { kind: 'object', entries: parts(node).map((property) => entryOf(property, load)) };
    case 'for_statement':
      return { kind: 'for', loop: loopOf(node, load), body: of(part(node, -1)) };
    case 'ternary_expression':
      return call('if', ...parts(node).map(of));
    case 'unary_expression':
      if (node.child(0)?.text === '!') return call('not', of(part(node, 0)));
      break;
    case 'binary_expression': {
      const operator = operators[node.child(1)?.text ?? ''];
      if (operator) return call(operator, of(part(node, 0)), of(part(node, 1)));
      break;
    }
    case 'member_expression':
      // `a!.b` is `a.b` to whoever does not check for null; `a.?b` is another matter.
      if (!node.children.some(({ type }) => type === '.?')) {
        return { kind: 'property', of: of(part(node, 0)), name: part(node, 1).text };
      }
      break;
    case 'subscript_expression':
      return { kind: 'index', of: of(part(node, 0)), index: of(part(node, 1)) };
    case 'call_expression':
      return callOf(node, load);
  }
  throw new InfraError(`Line ${node.startPosition.row + 1}: not known to this check: ${node.text.slice(0, 60)}`);
}

function textOf(node: Node, load: LoadText): Expression {
  if (node.text.startsWith("'''")) return literal(node.text.slice(3, -3).replace(/^\r?\n/, ''));
  const pieces = parts(node).map((piece): Expression => {
    if (piece.type === 'interpolation') return bicepExpression(part(piece, 0), load);
    return literal(piece.type === 'escape_sequence' ? (escapes[piece.text] ?? piece.text) : piece.text);
  });
  if (pieces.every((piece) => piece.kind === 'literal')) return literal(pieces.map(({ value }) => value).join(''));
  return { kind: 'text', parts: pieces };
}

function entryOf(property: Node, load: LoadText) {
  const key = part(property, 0);
  return {
    key: key.type === 'identifier' ? literal(key.text) : bicepExpression(key, load),
    value: bicepExpression(part(property, -1), load),
  };
}

/** The head of a `for`: its item, its counter, and what it goes through. */
export function loopOf(node: Node, load: LoadText): Loop {
  const variable = part(node, 0);
  const [item, counter] = variable.type === 'for_loop_parameters' ? parts(variable) : [variable];
  return {
    ...(item ? { item: item.text } : {}),
    ...(counter ? { counter: counter.text } : {}),
    in: bicepExpression(part(node, 1), load),
  };
}

function callOf(node: Node, load: LoadText): Expression {
  const callee = part(node, 0);
  const args = parts(part(node, 1)).map((arg) => bicepExpression(arg, load));
  if (callee.text === 'loadTextContent') {
    const [path] = args;
    if (path?.kind !== 'literal') throw new InfraError('loadTextContent() takes the path of a file');
    return literal(load(String(path.value)));
  }
  // `account.listKeys()` is `listKeys(account)`.
  if (callee.type === 'member_expression') {
    return call(part(callee, 1).text, bicepExpression(part(callee, 0), load), ...args);
  }
  return call(callee.text, ...args);
}
