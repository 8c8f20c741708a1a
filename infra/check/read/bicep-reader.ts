import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bicepExpression, type LoadText, loopOf } from './bicep-expression.ts';
import { type Node, parseBicep, part, parts } from './bicep-syntax.ts';
import {
  type Entry,
  type Expression,
  InfraError,
  type Loop,
  literal,
  type ModuleDeclaration,
  type Parameter,
  type Program,
  type ResourceDeclaration,
} from './program.ts';

/** What a Bicep file says, read by the grammar alone. Throws InfraError for what is not of the part understood here. */
export async function readBicep(file: string): Promise<Program> {
  const name = basename(file);
  try {
    return await programOf(await parseBicep(await readFile(file, 'utf8'), name), file);
  } catch (error) {
    if (error instanceof InfraError && !error.message.startsWith(name))
      throw new InfraError(`${name}: ${error.message}`);
    throw error;
  }
}

async function programOf(root: Node, file: string): Promise<Program> {
  const load: LoadText = (path) => readFileSync(join(dirname(file), path), 'utf8');
  const parameters: Parameter[] = [];
  const variables = new Map<string, Expression>();
  const resources: ResourceDeclaration[] = [];
  const modules: ModuleDeclaration[] = [];
  const outputs = new Map<string, Expression>();
  let decorators: Node | undefined;
  for (const node of parts(root)) {
    switch (node.type) {
      case 'decorators':
        decorators = node;
        continue;
      case 'parameter_declaration':
        parameters.push(parameterOf(node, decorators, load));
        break;
      case 'variable_declaration':
        variables.set(part(node, 0).text, bicepExpression(part(node, -1), load));
        break;
      case 'resource_declaration':
        resources.push(resourceOf(node, load));
        break;
      case 'module_declaration':
        modules.push(await moduleOf(node, file, load));
        break;
      case 'output_declaration':
        outputs.set(part(node, 0).text, bicepExpression(part(node, -1), load));
        break;
      case 'target_scope_assignment':
        break;
      default:
        throw new InfraError(`Line ${node.startPosition.row + 1}: ${node.type} is not known to this check`);
    }
    decorators = undefined;
  }
  return { name: basename(file), parameters, variables, resources, modules, outputs };
}

function parameterOf(node: Node, decorators: Node | undefined, load: LoadText): Parameter {
  const calls = decorators ? parts(decorators).map((decorator) => part(decorator, 0)) : [];
  const named = (name: string) => calls.find((one) => part(one, 0).text === name);
  const description = named('description');
  const text = description && bicepExpression(part(part(description, 1), 0), load);
  const [, type, value] = parts(node);
  return {
    name: part(node, 0).text,
    type: type?.text ?? '',
    secure: named('secure') !== undefined,
    description: text?.kind === 'literal' ? String(text.value) : undefined,
    defaultValue: value && bicepExpression(value, load),
  };
}

/** What stands behind `=`: the object, and whether or how often it is made. */
function unwrapped(node: Node, load: LoadText) {
  let condition: Expression | undefined;
  let loop: Loop | undefined;
  let inner = node;
  if (inner.type === 'for_statement') {
    loop = loopOf(inner, load);
    inner = part(inner, -1);
  }
  if (inner.type === 'if_statement') {
    condition = bicepExpression(part(inner, 0), load);
    inner = part(inner, -1);
  }
  const object = bicepExpression(inner, load);
  if (object.kind !== 'object') throw new InfraError('A resource or module is an object');
  return { condition, loop, entries: object.entries };
}

const keyOf = ({ key }: Entry) => (key.kind === 'literal' ? String(key.value) : '');

function resourceOf(node: Node, load: LoadText): ResourceDeclaration {
  const [type = '', apiVersion = ''] = part(node, 1).text.slice(1, -1).split('@');
  const { condition, loop, entries } = unwrapped(part(node, -1), load);
  const get = (key: string) => entries.find((entry) => keyOf(entry) === key)?.value;
  const apart: ReadonlySet<string> = new Set(['name', 'parent', 'scope', 'dependsOn']);
  return {
    symbol: part(node, 0).text,
    type,
    apiVersion,
    existing: node.children.some((child) => child.type === 'existing'),
    name: get('name') ?? literal(''),
    parent: get('parent'),
    scope: get('scope'),
    condition,
    loop,
    body: { kind: 'object', entries: entries.filter((entry) => !apart.has(keyOf(entry))) },
  };
}

async function moduleOf(node: Node, file: string, load: LoadText): Promise<ModuleDeclaration> {
  const { condition, loop, entries } = unwrapped(part(node, -1), load);
  const params = entries.find((entry) => keyOf(entry) === 'params')?.value;
  if (loop || params?.kind !== 'object') throw new InfraError('A module has params, and is made once');
  const path = join(dirname(file), part(node, 1).text.slice(1, -1));
  return {
    symbol: part(node, 0).text,
    condition,
    parameters: new Map(params.entries.map((entry) => [keyOf(entry), entry.value])),
    program: await readBicep(path),
  };
}
