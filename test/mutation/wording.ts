import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/** As much of a syntax tree (Babel's) as is looked at. */
interface Node {
  readonly type: string;
  readonly name?: unknown;
  readonly callee?: Node;
  readonly object?: Node;
  readonly key?: Node;
  readonly expression?: Node;
  readonly consequent?: Node;
  readonly alternate?: Node | null;
  readonly body?: readonly Node[];
}

interface Path {
  readonly node: Node;
  readonly parent: Node | null;
}

const isText = ({ type }: Node) => type === 'StringLiteral' || type === 'TemplateLiteral';
const nameOf = (node: Node | undefined) => (node?.type === 'Identifier' ? String(node.name) : '');

/** Classes whose texts are read by people. */
const errorClass = /^(?:[A-Z]\w*)?(?:Error|Refusal|Lost|Superseded)$/;
/** Properties that hold sentences. */
const sentences = new Set(['detail', 'hint', 'reply', 'reason', 'description', 'title']);

const isLogCall = (node: Node | undefined) => node?.type === 'CallExpression' && nameOf(node.callee?.object) === 'log';

/** Whether a statement does nothing but write lines of the log. */
function isLogging(node: Node | undefined): boolean {
  if (node?.type === 'ExpressionStatement') return isLogCall(node.expression);
  return (
    node?.type === 'BlockStatement' && node.body !== undefined && node.body.length > 0 && node.body.every(isLogging)
  );
}

/**
 * Mutants that are not made, by what they would change. The lines of the log: what it says, when, and by which fields, is
 * held against the built app by `test/telemetry.test.ts` and `test/queries.test.ts`. Sentences: another wording is no
 * fault, and tests that repeat each sentence would find nothing but that it was changed.
 */
function shouldIgnore({ node, parent }: Path): string | undefined {
  if (isLogCall(node) || isLogging(node)) return 'a line of the log';
  if (node.type === 'IfStatement' && !node.alternate && isLogging(node.consequent)) return 'whether a line is logged';
  if (node.type === 'ObjectExpression' && nameOf(parent?.callee) === 'inLogScope') return 'fields of the log';
  if (!isText(node) || !parent) return undefined;
  if (parent.type === 'NewExpression' && errorClass.test(nameOf(parent.callee))) return 'the wording of an error';
  if (parent.type === 'ObjectProperty' && sentences.has(nameOf(parent.key))) return 'a sentence';
  return undefined;
}

/** Loaded by Stryker. */
export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, 'wording', { shouldIgnore })];
