import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Node, parse } from 'acorn';
import { transformSync } from 'esbuild';
import { analyse } from 'scslre';

/**
 * Part of `npm run check`: no regular expression of the product takes more than linear time. What meets outside text
 * must not hold the process of everybody for as long as one caller likes.
 */

export interface Expression {
  readonly source: string;
  readonly flags: string;
  /** Relative to the project. */
  readonly file: string;
}

/** Expressions that the analysis cannot prove linear, and why they are. */
const proven: ReadonlyMap<string, string> = new Map([
  [
    String.raw`/^((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)$/s`,
    'the last part takes whatever is left, so nothing is ever tried a second time',
  ],
]);

/** Files whose expressions see texts of a small bounded length only. */
const boundedText: ReadonlyMap<string, string> = new Map([
  ['shared/mime/dates.ts', 'a date field is cut to 500 characters first'],
]);

/** Files that make an expression of numbers or of each other's parts when they are called, and not when they load. */
const madeLater: ReadonlySet<string> = new Set(['shared/adapters/pop3/checkpoint.ts']);

/** The regular expressions that a TypeScript text has as literals, and whether it makes others by `RegExp`. */
export function literalsOf(code: string, file: string): { expressions: readonly Expression[]; makesMore: boolean } {
  const script = transformSync(code, { loader: 'ts', target: 'esnext' }).code;
  const expressions: Expression[] = [];
  let makesMore = false;
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const part of value) visit(part);
    if (!isNode(value)) return;
    const node: Record<string, unknown> = { ...value };
    const { regex, callee } = node;
    if (isRegex(regex)) expressions.push({ source: regex.pattern, flags: regex.flags, file });
    if (isNode(callee) && 'name' in callee && callee.name === 'RegExp') makesMore = true;
    for (const part of Object.values(node)) visit(part);
  };
  visit(parse(script, { ecmaVersion: 'latest', sourceType: 'module' }));
  return { expressions, makesMore };
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value;
}

function isRegex(value: unknown): value is { pattern: string; flags: string } {
  return typeof value === 'object' && value !== null && 'pattern' in value && 'flags' in value;
}

/** Why an expression may take more than linear time; undefined where it does not. */
export function trouble({ source, flags }: Pick<Expression, 'source' | 'flags'>): string | undefined {
  if (proven.has(`/${source}/${flags}`)) return undefined;
  const { reports } = analyse({ source, flags });
  if (reports.length === 0) return undefined;
  return reports.some(({ exponential }) => exponential) ? 'exponential' : 'polynomial';
}

/** The expressions that `files` (absolute) make by `RegExp` as they load. */
async function madeAtLoad(files: readonly string[], root: string): Promise<readonly Expression[]> {
  const made: Expression[] = [];
  const own = globalThis.RegExp;
  for (const file of files) {
    const note = (regExp: RegExp) => {
      made.push({ source: regExp.source, flags: regExp.flags, file: file.slice(root.length) });
      return regExp;
    };
    globalThis.RegExp = new Proxy(own, {
      construct: (_, [pattern, flags]) => note(new own(pattern, flags)),
      apply: (_, __, [pattern, flags]) => note(own(pattern, flags)),
    });
    try {
      await import(pathToFileURL(file).href);
    } finally {
      globalThis.RegExp = own;
    }
  }
  return made;
}

/** Every expression of the product that may take more than linear time, one line each. */
export async function superLinear(root: string): Promise<readonly string[]> {
  const files = globSync(`${root}{functions,shared,console}/**/*.ts`).filter((file) => !file.endsWith('.test.ts'));
  const loaded: string[] = [];
  const all = files.flatMap((file) => {
    const name = file.slice(root.length);
    const { expressions, makesMore } = literalsOf(readFileSync(file, 'utf8'), name);
    if (makesMore && !madeLater.has(name)) loaded.push(file);
    return expressions;
  });
  const made = await madeAtLoad(loaded, root);
  return [...all, ...made].flatMap((expression) => {
    const what = boundedText.has(expression.file) ? undefined : trouble(expression);
    return what === undefined ? [] : [`${expression.file}: ${what}: /${expression.source}/${expression.flags}`];
  });
}

if (import.meta.main) {
  const found = await superLinear(fileURLToPath(new URL('../../', import.meta.url)));
  for (const line of found) console.error(line);
  if (found.length > 0) {
    console.error('These take more than linear time on some texts. Write them so that nothing is tried twice.');
    process.exitCode = 1;
  }
}
