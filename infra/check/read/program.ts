/**
 * What a Bicep file and the ARM template compiled of it say alike: declarations whose values are expressions. The two
 * readers make it, and one evaluator (deployment.ts) works out what would be deployed.
 */

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'text'; readonly parts: readonly Expression[] }
  | { readonly kind: 'name'; readonly name: string }
  /** Operators are calls of the ARM function that they compile to. */
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'property'; readonly of: Expression; readonly name: string }
  | { readonly kind: 'index'; readonly of: Expression; readonly index: Expression }
  | { readonly kind: 'object'; readonly entries: readonly Entry[] }
  | { readonly kind: 'array'; readonly items: readonly Expression[] }
  | { readonly kind: 'for'; readonly loop: Loop; readonly body: Expression };

export interface Entry {
  readonly key: Expression;
  readonly value: Expression;
}

export interface Loop {
  /** Name of the item in the body. */
  readonly item?: string;
  /** Name of its number in the body, from 0. */
  readonly counter?: string;
  readonly in: Expression;
}

export interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly secure: boolean;
  readonly description: string | undefined;
  readonly defaultValue: Expression | undefined;
}

export interface ResourceDeclaration {
  readonly symbol: string;
  readonly type: string;
  readonly apiVersion: string;
  /** Declared elsewhere: only referred to. */
  readonly existing: boolean;
  /** With the names of its parents, unless `parent` says them. */
  readonly name: Expression;
  readonly parent: Expression | undefined;
  readonly scope: Expression | undefined;
  readonly condition: Expression | undefined;
  readonly loop: Loop | undefined;
  /** Everything else that Azure is given: location, tags, kind, sku, identity, properties. */
  readonly body: Expression;
}

export interface ModuleDeclaration {
  readonly symbol: string;
  readonly condition: Expression | undefined;
  readonly parameters: ReadonlyMap<string, Expression>;
  readonly program: Program;
}

/** One file. */
export interface Program {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly variables: ReadonlyMap<string, Expression>;
  readonly resources: readonly ResourceDeclaration[];
  readonly modules: readonly ModuleDeclaration[];
  readonly outputs: ReadonlyMap<string, Expression>;
}

export const literal = (value: string | number | boolean | null): Expression => ({ kind: 'literal', value });
export const call = (name: string, ...args: readonly Expression[]): Expression => ({ kind: 'call', name, args });

/** Every expression inside, itself first. */
export function* expressionsIn(expression: Expression): Generator<Expression> {
  yield expression;
  switch (expression.kind) {
    case 'text':
      for (const part of expression.parts) yield* expressionsIn(part);
      return;
    case 'call':
      for (const arg of expression.args) yield* expressionsIn(arg);
      return;
    case 'property':
      yield* expressionsIn(expression.of);
      return;
    case 'index':
      yield* expressionsIn(expression.of);
      yield* expressionsIn(expression.index);
      return;
    case 'object':
      for (const { key, value } of expression.entries) {
        yield* expressionsIn(key);
        yield* expressionsIn(value);
      }
      return;
    case 'array':
      for (const item of expression.items) yield* expressionsIn(item);
      return;
    case 'for':
      yield* expressionsIn(expression.loop.in);
      yield* expressionsIn(expression.body);
      return;
  }
}

/** Every expression of a program, without those of its modules. */
export function* expressionsOf(program: Program): Generator<Expression> {
  const roots: (Expression | undefined)[] = [
    ...program.parameters.map(({ defaultValue }) => defaultValue),
    ...program.variables.values(),
    ...program.resources.flatMap(({ name, parent, scope, condition, loop, body }) => [
      name,
      parent,
      scope,
      condition,
      loop?.in,
      body,
    ]),
    ...program.modules.flatMap(({ condition, parameters }) => [condition, ...parameters.values()]),
    ...program.outputs.values(),
  ];
  for (const root of roots) if (root) yield* expressionsIn(root);
}

/** The program and the programs of its modules, each file once. */
export function programsOf(program: Program): readonly Program[] {
  const found = new Map<string, Program>();
  const visit = (one: Program) => {
    if (!found.has(one.name)) found.set(one.name, one);
    for (const module of one.modules) visit(module.program);
  };
  visit(program);
  return [...found.values()];
}

/** A file that cannot be understood, or says something impossible. */
export class InfraError extends Error {
  override readonly name = 'InfraError';
}
