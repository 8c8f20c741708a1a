import Module from 'node:module';
import { z } from 'zod';
import {
  type FunctionCallback,
  type FunctionMetadata,
  HOOK_NAMES,
  type HookCallback,
  type HookContext,
  type HookName,
  type LogCategory,
  type LogLevel,
  type ProgrammingModel,
} from './core-types.ts';
import { type HostLog, messageOf } from './log.ts';

const CORE_MODULE = '@azure/functions-core';
/** What the worker of late 2026 calls itself; the library only looks at which members exist. */
const WORKER_VERSION = '3.12.0';
const HOST_VERSION = '4.1044.100';

export interface RegisteredFunction {
  readonly metadata: FunctionMetadata;
  readonly callback: FunctionCallback;
}

/** What an app registered, and the hooks it hung in. */
export interface Core {
  /** The object the library gets for `require('@azure/functions-core')`. */
  readonly api: object;
  readonly functions: readonly RegisteredFunction[];
  readonly appHookData: Record<string, unknown>;
  readonly appLevelHookData: Record<string, unknown>;
  /** From here on, registering a function is an error (the library's own rule). */
  seal(): void;
  model(): ProgrammingModel | undefined;
  hasHooks(name: HookName): boolean;
  /** Runs the hooks one after the other, in the order they were registered; the first throw ends it. */
  runHooks(name: HookName, context: HookContext): Promise<void>;
  /** Log hooks are synchronous; one that throws is reported and passed over. */
  runLogHooks(context: HookContext): void;
}

const bindingSchema = z.looseObject({
  type: z.string().min(1),
  direction: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['in', 'out'])),
});
const metadataSchema = z.looseObject({ name: z.string(), bindings: z.record(z.string(), bindingSchema) });
const functionSchema = z.custom<FunctionCallback>((value) => typeof value === 'function');
const modelSchema = z.custom<ProgrammingModel>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    'getCapabilities' in value &&
    'getInvocationModel' in value &&
    typeof value.getCapabilities === 'function' &&
    typeof value.getInvocationModel === 'function',
);

/** By this mark the library distinguishes errors of the system from the app's. */
function systemError(error: Error): Error {
  return Object.assign(error, { isAzureFunctionsSystemError: true });
}

class Disposable {
  #onDispose: (() => void) | undefined;
  constructor(onDispose: () => void) {
    this.#onDispose = onDispose;
  }
  static from(...items: readonly { dispose(): unknown }[]): Disposable {
    return new Disposable(() => {
      for (const item of items) item.dispose();
    });
  }
  dispose(): void {
    this.#onDispose?.();
    this.#onDispose = undefined;
  }
}

/** The core that one app registers itself with. */
export function createCore(log: () => HostLog): Core {
  const functions: RegisteredFunction[] = [];
  const hooks = new Map<HookName, HookCallback[]>(HOOK_NAMES.map((name) => [name, []]));
  let sealed = false;
  let model: ProgrammingModel | undefined;

  function registerFunction(metadata: unknown, callback: unknown): Disposable {
    if (sealed) throw systemError(new Error('A function can only be registered during app startup.'));
    const parsed = metadataSchema.parse(metadata);
    if (functions.some((known) => known.metadata.name.toLowerCase() === parsed.name.toLowerCase())) {
      throw systemError(new Error(`A function with name "${parsed.name}" has already been registered.`));
    }
    const entry = { metadata: parsed, callback: functionSchema.parse(callback) };
    functions.push(entry);
    return new Disposable(() => {
      if (sealed) throw systemError(new Error('A function can only be disposed during app startup.'));
      functions.splice(functions.indexOf(entry), 1);
    });
  }

  function hooksOf(name: string): HookCallback[] {
    const known = HOOK_NAMES.find((hook) => hook === name);
    const list = known && hooks.get(known);
    if (!list) throw systemError(new RangeError(`Unrecognized hook "${name}"`));
    return list;
  }

  function registerHook(name: string, callback: unknown): Disposable {
    const list = hooksOf(name);
    const hook: HookCallback = functionSchema.parse(callback);
    list.push(hook);
    return new Disposable(() => {
      const at = list.indexOf(hook);
      if (at >= 0) list.splice(at, 1);
    });
  }

  return {
    api: {
      version: WORKER_VERSION,
      hostVersion: HOST_VERSION,
      registerFunction,
      registerHook,
      setProgrammingModel: (value: unknown) => {
        model = modelSchema.parse(value);
      },
      getProgrammingModel: () => model,
      log: (level: LogLevel, category: LogCategory, message: string) =>
        log().write(level, category === 'user' ? 'Function.User' : 'Worker', message),
      Disposable,
    },
    functions,
    appHookData: {},
    appLevelHookData: {},
    seal: () => {
      sealed = true;
    },
    model: () => model,
    hasHooks: (name) => hooksOf(name).length > 0,
    runHooks: async (name, context) => {
      for (const hook of [...hooksOf(name)]) await hook(context);
    },
    runLogHooks: (context) => {
      for (const hook of [...hooksOf('log')]) {
        try {
          hook(context);
        } catch (error) {
          log().write('error', 'Worker', `A log hook threw: ${messageOf(error)}`);
        }
      }
    },
  };
}

let installed: object | undefined;
let patched = false;

/**
 * Makes `require('@azure/functions-core')` answer with `api`, as the real worker does by the same means. Works for
 * bundles, for plain CommonJS, and for ES modules that import the (CommonJS) library. One app at a time: the latest wins.
 */
export function installCore(api: object): () => void {
  installed = api;
  if (!patched) {
    patched = true;
    Module.prototype.require = new Proxy(Module.prototype.require, {
      apply: (target, self, args: unknown[]) =>
        args[0] === CORE_MODULE && installed ? installed : Reflect.apply(target, self, args),
    });
  }
  return () => {
    if (installed === api) installed = undefined;
  };
}
