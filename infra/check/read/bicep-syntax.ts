import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Language, type Node, Parser } from 'web-tree-sitter';
import { InfraError } from './program.ts';

export type { Node };

let parser: Promise<Parser> | undefined;

async function make(): Promise<Parser> {
  await Parser.init();
  const grammar = createRequire(import.meta.url).resolve('tree-sitter-bicep/tree-sitter-bicep.wasm');
  const made = new Parser();
  made.setLanguage(await Language.load(await readFile(grammar)));
  return made;
}

/** The syntax tree of a Bicep file. Throws InfraError with the line that the grammar does not take. */
export async function parseBicep(source: string, name: string): Promise<Node> {
  parser ??= make();
  const tree = (await parser).parse(source);
  if (!tree) throw new InfraError(`${name} was not parsed`);
  const wrong = tree.rootNode.hasError ? firstError(tree.rootNode) : undefined;
  if (wrong) {
    throw new InfraError(`${name}:${wrong.startPosition.row + 1}: not Bicep: ${wrong.text.slice(0, 60)}`);
  }
  return tree.rootNode;
}

function firstError(node: Node): Node | undefined {
  if (node.isError || node.isMissing) return node;
  for (const child of node.children) {
    const found = child.hasError || child.isMissing ? firstError(child) : undefined;
    if (found) return found;
  }
  return node;
}

/** Named children, comments aside. */
export function parts(node: Node): readonly Node[] {
  return node.namedChildren.filter(({ type }) => type !== 'comment' && type !== 'diagnostic_comment');
}

/** The one at `i`, counted from the end where negative. */
export function part(node: Node, i: number): Node {
  const found = parts(node).at(i);
  if (!found) throw new InfraError(`Line ${node.startPosition.row + 1}: incomplete: ${node.text.slice(0, 60)}`);
  return found;
}
