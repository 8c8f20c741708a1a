import { asText, callFunction, isObject, resourceId, type Value } from './functions.ts';
import {
  type Expression,
  InfraError,
  type Loop,
  type ModuleDeclaration,
  type Program,
  type ResourceDeclaration,
} from './program.ts';

/** A resource as Azure would be asked to make it. */
export interface Resource {
  readonly type: string;
  readonly apiVersion: string;
  /** `Microsoft.Storage/storageAccounts/a/blobServices/default`: without subscription and resource group. */
  readonly id: string;
  /** The last of its names. */
  readonly name: string;
  /** Id of what it is attached to: role assignments, diagnostic settings. */
  readonly scope: string | undefined;
  readonly body: { readonly [key: string]: Value };
}

export interface Deployment {
  readonly resources: readonly Resource[];
  readonly outputs: { readonly [name: string]: Value };
}

/**
 * Works out what a program deploys with these parameters. What only Azure knows (a principal id, a host name) becomes
 * `⟨id of the resource⟩.path`. Throws InfraError for what cannot be deployed: a parameter that is missing or unknown, a
 * name that nothing has.
 */
export function deploy(program: Program, parameters: { readonly [name: string]: Value }): Deployment {
  const run = new Run(program, new Map(Object.entries(parameters)));
  return { resources: run.resources(), outputs: run.outputs() };
}

/** A resource or module that an expression speaks of. */
class Reference {
  readonly resource: { readonly id: string; readonly name: string } | undefined;
  readonly module: Run | undefined;
  constructor(of: { readonly resource: { id: string; name: string } } | { readonly module: Run }) {
    this.resource = 'resource' in of ? of.resource : undefined;
    this.module = 'module' in of ? of.module : undefined;
  }
}

type Result = Value | Reference;
type Locals = ReadonlyMap<string, Value>;

const none: Locals = new Map();

class Run {
  readonly #program: Program;
  readonly #given: ReadonlyMap<string, Value>;
  readonly #known = new Map<string, Value>();
  readonly #modules = new Map<string, Run>();

  constructor(program: Program, given: ReadonlyMap<string, Value>) {
    this.#program = program;
    this.#given = given;
    const names = new Set(program.parameters.map(({ name }) => name));
    for (const name of given.keys()) {
      if (!names.has(name)) throw new InfraError(`${program.name} has no parameter ${name}`);
    }
    for (const { name, defaultValue } of program.parameters) {
      if (!given.has(name) && !defaultValue) throw new InfraError(`${program.name} is not given its parameter ${name}`);
    }
  }

  resources(): readonly Resource[] {
    const own = this.#program.resources
      .filter(({ existing }) => !existing)
      .flatMap((declaration) => this.#rounds(declaration.loop, none).map((locals) => this.#made(declaration, locals)));
    const modules = this.#program.modules
      .filter(({ condition }) => this.#holds(condition, none))
      .flatMap((module) => this.#module(module).resources());
    return [...own.filter((resource) => resource !== undefined), ...modules];
  }

  outputs(): { readonly [name: string]: Value } {
    return Object.fromEntries([...this.#program.outputs.keys()].map((name) => [name, this.output(name)]));
  }

  output(name: string): Value {
    const expression = this.#program.outputs.get(name);
    if (!expression) throw new InfraError(`${this.#program.name} has no output ${name}`);
    return this.#value(expression, none);
  }

  #made(declaration: ResourceDeclaration, locals: Locals): Resource | undefined {
    if (!this.#holds(declaration.condition, locals)) return undefined;
    const { type, apiVersion, scope, body } = declaration;
    const names = this.#names(declaration, locals);
    const content = this.#value(body, locals);
    if (!isObject(content)) throw new InfraError(`${type} has no body`);
    const at = scope && this.#result(scope, locals);
    const within = at instanceof Reference ? at.resource?.id : at;
    return {
      type,
      apiVersion,
      id: within === undefined ? resourceId(type, names) : `${asText(within)}/${resourceId(type, names)}`,
      name: names.at(-1) ?? '',
      scope: within === undefined ? undefined : asText(within),
      body: content,
    };
  }

  #names({ name, parent }: ResourceDeclaration, locals: Locals): readonly string[] {
    const own = asText(this.#value(name, locals)).split('/');
    if (!parent) return own;
    const of = this.#result(parent, locals);
    if (!(of instanceof Reference) || !of.resource) throw new InfraError('A parent is a resource');
    // Namespace first, then kind and name in turn.
    return [...of.resource.id.split('/').filter((_, i) => i > 0 && i % 2 === 0), ...own];
  }

  #rounds(loop: Loop | undefined, locals: Locals): readonly Locals[] {
    if (!loop) return [locals];
    const items = this.#value(loop.in, locals);
    if (!Array.isArray(items)) throw new InfraError('A loop goes over a list');
    return (items as readonly Value[]).map((item, i) => {
      const round = new Map(locals);
      if (loop.item !== undefined) round.set(loop.item, item);
      if (loop.counter !== undefined) round.set(loop.counter, i);
      return round;
    });
  }

  #holds(condition: Expression | undefined, locals: Locals): boolean {
    return condition === undefined || this.#value(condition, locals) === true;
  }

  #module(declaration: ModuleDeclaration): Run {
    const known = this.#modules.get(declaration.symbol);
    if (known) return known;
    const given = new Map([...declaration.parameters].map(([name, value]) => [name, this.#value(value, none)]));
    const run = new Run(declaration.program, given);
    this.#modules.set(declaration.symbol, run);
    return run;
  }

  #value(expression: Expression, locals: Locals): Value {
    const result = this.#result(expression, locals);
    if (result instanceof Reference) throw new InfraError('A resource or module stands where a value should');
    return result;
  }

  #result(expression: Expression, locals: Locals): Result {
    switch (expression.kind) {
      case 'literal':
        return expression.value;
      case 'text':
        return expression.parts.map((part) => asText(this.#value(part, locals))).join('');
      case 'name':
        return this.#named(expression.name, locals);
      case 'array':
        return expression.items.map((item) => this.#value(item, locals));
      case 'object':
        return Object.fromEntries(
          expression.entries.map(({ key, value }) => [asText(this.#value(key, locals)), this.#value(value, locals)]),
        );
      case 'for':
        return this.#rounds(expression.loop, locals).map((round) => this.#value(expression.body, round));
      case 'property':
        return this.#property(this.#result(expression.of, locals), expression.name);
      case 'index':
        return this.#indexed(expression.of, this.#value(expression.index, locals), locals);
      case 'call':
        return this.#called(expression.name, expression.args, locals);
    }
  }

  #named(name: string, locals: Locals): Result {
    const local = locals.get(name) ?? this.#known.get(name);
    if (local !== undefined) return local;
    const parameter = this.#program.parameters.find((one) => one.name === name);
    const expression = this.#given.has(name)
      ? undefined
      : (parameter?.defaultValue ?? this.#program.variables.get(name));
    if (this.#given.has(name) || expression) {
      const value = expression ? this.#value(expression, none) : (this.#given.get(name) ?? null);
      this.#known.set(name, value);
      return value;
    }
    const module = this.#program.modules.find(({ symbol }) => symbol === name);
    if (module) return new Reference({ module: this.#module(module) });
    return this.#resource(name, none);
  }

  #resource(symbol: string, locals: Locals): Reference {
    const declaration = this.#program.resources.find((one) => one.symbol === symbol);
    if (!declaration) throw new InfraError(`Nothing in ${this.#program.name} is called ${symbol}`);
    const names = this.#names(declaration, locals);
    return new Reference({ resource: { id: resourceId(declaration.type, names), name: names.at(-1) ?? '' } });
  }

  #property(of: Result, name: string): Result {
    if (of instanceof Reference) {
      if (of.module) {
        const { module } = of;
        if (name !== 'outputs') throw new InfraError(`A module has no property ${name}`);
        return Object.fromEntries(Object.entries(module.outputs()));
      }
      if (name === 'id') return of.resource?.id ?? '';
      return name === 'name' ? (of.resource?.name ?? '') : `⟨${of.resource?.id}⟩.${name}`;
    }
    if (typeof of === 'string' && of.startsWith('⟨')) return `${of}.${name}`;
    const found = isObject(of) ? of[name] : undefined;
    if (found === undefined) throw new InfraError(`${JSON.stringify(of)} has no ${name}`);
    return found;
  }

  #indexed(of: Expression, index: Value, locals: Locals): Result {
    const looped = this.#program.resources.find(({ symbol, loop }) => of.kind === 'name' && symbol === of.name && loop);
    if (looped) {
      const round = this.#rounds(looped.loop, none)[Number(index)];
      if (!round) throw new InfraError(`${looped.symbol} has no item ${JSON.stringify(index)}`);
      return this.#resource(looped.symbol, round);
    }
    const value = this.#value(of, locals);
    const found = Array.isArray(value)
      ? (value as readonly Value[])[Number(index)]
      : isObject(value)
        ? value[asText(index)]
        : undefined;
    if (found === undefined) throw new InfraError(`${JSON.stringify(value)} has no item ${JSON.stringify(index)}`);
    return found;
  }

  #called(name: string, args: readonly Expression[], locals: Locals): Value {
    const value = (i: number) => {
      const arg = args[i];
      if (!arg) throw new InfraError(`${name}() lacks an argument`);
      return this.#value(arg, locals);
    };
    switch (name) {
      case 'if':
        return value(value(0) === true ? 1 : 2);
      case 'and':
        return args.every((_, i) => value(i) === true);
      case 'or':
        return args.some((_, i) => value(i) === true);
      case 'reference':
        return this.#runtime(asText(value(0)), args.length > 2 && value(2) === 'full');
      default:
        return callFunction(
          name,
          args.map((arg) => this.#value(arg, locals)),
        );
    }
  }

  /** ARM's way to speak of a module or of what Azure knows of a resource. */
  #runtime(target: string, full: boolean): Value {
    const module = this.#program.modules.find(({ symbol }) => symbol === target);
    if (!module) return full ? `⟨${target}⟩` : `⟨${target}⟩.properties`;
    const outputs = Object.entries(this.#module(module).outputs());
    return { outputs: Object.fromEntries(outputs.map(([name, value]) => [name, { value }])) };
  }
}
