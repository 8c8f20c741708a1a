import { readdir, readFile } from 'node:fs/promises';
import { type AnyNode, type CallExpression, parse } from 'acorn';
import { transform } from 'esbuild';

/** A call of the log in the code of the product. */
export interface LogCall {
  /** File and start of the call, for messages. */
  readonly place: string;
  /** Undefined where the name of the event is not written out at the call. */
  readonly event: string | undefined;
  /** Fields that are written out at the call; others are spread into it, or come with the scope. */
  readonly fields: readonly string[];
}

const levels = new Set(['info', 'warn', 'error']);

/** Every call of `log.info`, `log.warn`, and `log.error` under these folders, which end with a slash. */
export async function logCalls(root: URL, folders: readonly string[]): Promise<LogCall[]> {
  const calls: LogCall[] = [];
  for (const folder of folders) {
    for (const name of await readdir(new URL(folder, root), { recursive: true })) {
      if (!/\.ts$/.test(name) || /\.(test|probe)\.ts$/.test(name)) continue;
      const { code } = await transform(await readFile(new URL(folder + name, root), 'utf8'), { loader: 'ts' });
      for (const call of callsIn(parse(code, { ecmaVersion: 'latest', sourceType: 'module' }))) {
        const { callee } = call;
        if (callee.type !== 'MemberExpression' || callee.object.type !== 'Identifier') continue;
        if (callee.object.name !== 'log' || callee.property.type !== 'Identifier') continue;
        if (!levels.has(callee.property.name)) continue;
        calls.push({ place: `${folder}${name}: ${code.slice(call.start, call.start + 60)}`, ...contents(call) });
      }
    }
  }
  return calls;
}

function contents(call: CallExpression): Pick<LogCall, 'event' | 'fields'> {
  const [event, fields] = call.arguments;
  return {
    event: event?.type === 'Literal' && typeof event.value === 'string' ? event.value : undefined,
    fields:
      fields?.type === 'ObjectExpression'
        ? fields.properties.flatMap((each) =>
            each.type === 'Property' && each.key.type === 'Identifier' && !each.computed ? [each.key.name] : [],
          )
        : [],
  };
}

/** All calls in a tree. */
function* callsIn(node: AnyNode): Generator<CallExpression> {
  if (node.type === 'CallExpression') yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* callsIn(child);
  }
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}
