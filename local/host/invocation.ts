import { randomBytes, randomUUID } from 'node:crypto';
import type { Core } from './core.ts';
import type {
  CoreInvocationContext,
  FunctionCallback,
  HookContext,
  InputData,
  InvocationRequest,
  LogCategory,
  LogLevel,
  ProgrammingModel,
  TraceContext,
  TypedData,
} from './core-types.ts';
import type { HostFunction } from './function-index.ts';
import { type HostLog, stackOf } from './log.ts';

export interface Invocation {
  readonly invocationId?: string;
  readonly inputs: readonly InputData[];
  readonly triggerMetadata: Readonly<Record<string, TypedData>>;
  readonly traceContext?: TraceContext;
  /** May replace what the function returned, after all hooks. */
  readonly adaptResult?: (result: unknown) => unknown;
  /** Why it runs, for the log: a queue and a message id, a timer's time, a route. */
  readonly reason: string;
}

export interface Invoker {
  /** Runs hooks and the function. @throws what the function threw; it is logged already. */
  invoke(fn: HostFunction, invocation: Invocation): Promise<void>;
  readonly running: () => number;
  /** Resolves true when nothing runs any more, false when `milliseconds` are over first. */
  idle(milliseconds: number): Promise<boolean>;
}

export interface InvokerOptions {
  readonly core: Core;
  readonly model: ProgrammingModel;
  readonly log: HostLog;
  /** Milliseconds; undefined: no limit. */
  readonly functionTimeout: number | undefined;
  /** Called after the timed-out invocation has failed: the process is no longer to be trusted. */
  readonly onTimeout: (functionName: string) => void;
}

/** What a function logs. */
interface FunctionLine {
  readonly level: LogLevel;
  readonly category: LogCategory;
  readonly message: string;
}

/** A function ran longer than functionTimeout of host.json. */
class FunctionTimeoutError extends Error {}

/** The longest wait a Node.js timer takes; a functionTimeout beyond it is as good as none. */
const MAX_TIMER = 2_147_483_647;

/** Invokes the functions of one app, with their hooks, within functionTimeout, each logged. */
export function createInvoker(options: InvokerOptions): Invoker {
  const { core, log, functionTimeout } = options;
  const whenIdle = new Set<() => void>();
  let running = 0;

  async function invoke(fn: HostFunction, invocation: Invocation): Promise<void> {
    const invocationId = invocation.invocationId ?? randomUUID();
    const category = `Function.${fn.name}`;
    const verbose = log.enabled('information', category);
    const started = performance.now();
    running += 1;
    if (verbose) {
      log.write(
        'information',
        category,
        `Executing 'Functions.${fn.name}' (Reason='${invocation.reason}', Id=${invocationId})`,
      );
    }
    const ended = (how: string) =>
      `Executed 'Functions.${fn.name}' (${how}, Id=${invocationId}, Duration=${Math.round(performance.now() - started)}ms)`;
    try {
      await limited(fn, run(fn, invocationId, invocation));
      if (verbose) log.write('information', category, ended('Succeeded'));
    } catch (error) {
      log.write('error', category, `${ended('Failed')}\n${stackOf(error)}`);
      if (error instanceof FunctionTimeoutError) options.onTimeout(fn.name);
      throw error;
    } finally {
      running -= 1;
      if (running === 0) for (const onIdle of whenIdle) onIdle();
    }
  }

  async function limited<T>(fn: HostFunction, invoked: Promise<T>): Promise<T> {
    if (functionTimeout === undefined) return await invoked;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new FunctionTimeoutError(`Timeout value of ${functionTimeout} ms exceeded by '${fn.name}'.`)),
        Math.min(functionTimeout, MAX_TIMER),
      );
    });
    try {
      return await Promise.race([invoked, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  async function run(fn: HostFunction, invocationId: string, invocation: Invocation): Promise<void> {
    const { metadata } = fn.registered;
    const request: InvocationRequest = {
      invocationId,
      functionId: fn.name,
      inputData: invocation.inputs,
      triggerMetadata: invocation.triggerMetadata,
      traceContext: invocation.traceContext ?? newTrace(),
    };
    let userContext: unknown;
    const context: CoreInvocationContext = {
      invocationId,
      request,
      metadata,
      state: undefined,
      log: (level, category, message) => functionLog(fn.name, { level, category, message }, userContext),
    };
    const model = await options.model.getInvocationModel(context);
    const prepared = await model.getArguments();
    userContext = prepared.context;
    const hookData = {};
    const shared = { hookData, appHookData: core.appHookData, invocationContext: userContext };
    const before: HookContext = { ...shared, inputs: prepared.inputs, functionCallback: fn.registered.callback };
    context.state = 'preInvocationHooks';
    await core.runHooks('preInvocation', before);
    context.state = 'invocation';
    const after: HookContext = { ...shared, inputs: before.inputs, result: null, error: null };
    try {
      after.result = await model.invokeFunction(userContext, inputsOf(before), callbackOf(before));
    } catch (error) {
      after.error = error ?? new Error('Unknown error');
    }
    context.state = 'postInvocationHooks';
    await core.runHooks('postInvocation', after);
    context.state = undefined;
    if (after.error !== null && after.error !== undefined) throw after.error;
    const result = invocation.adaptResult ? invocation.adaptResult(after.result) : after.result;
    // The library says here what is wrong with a result; an HTTP answer has left by its own server.
    await model.getResponse(userContext, result);
  }

  function functionLog(name: string, { level, category, message }: FunctionLine, userContext: unknown) {
    const line = { level, message };
    if (core.hasHooks('log')) {
      const context: HookContext = {
        ...{ level, message, category, invocationContext: userContext },
        ...{ hookData: {}, appHookData: core.appHookData },
      };
      core.runLogHooks(context);
      if (typeof context.message === 'string') line.message = context.message;
      line.level = isLevel(context.level) ? context.level : level;
    }
    log.write(line.level, category === 'user' ? `Function.${name}.User` : `Function.${name}`, line.message);
  }

  return {
    invoke,
    running: () => running,
    idle: (milliseconds) => {
      if (running === 0) return Promise.resolve(true);
      return new Promise((resolve) => {
        const finish = (result: boolean) => {
          clearTimeout(timer);
          whenIdle.delete(onIdle);
          resolve(result);
        };
        const onIdle = () => finish(true);
        const timer = setTimeout(() => finish(false), milliseconds);
        whenIdle.add(onIdle);
      });
    },
  };
}

function inputsOf(context: HookContext): unknown[] {
  if (!Array.isArray(context.inputs)) throw new Error('a preInvocation hook replaced the inputs by something else');
  return context.inputs;
}

function callbackOf(context: HookContext): FunctionCallback {
  const { functionCallback: callback } = context;
  if (typeof callback !== 'function') throw new Error('a preInvocation hook replaced the handler by something else');
  return (...args) => Reflect.apply(callback, undefined, args);
}

function isLevel(value: unknown): value is LogLevel {
  return ['trace', 'debug', 'information', 'warning', 'error', 'critical', 'none'].some((level) => level === value);
}

/** A trace of its own for work nobody traces yet (W3C Trace Context, not sampled). */
export function newTrace(): TraceContext {
  const id = randomBytes(24).toString('hex');
  return { traceParent: `00-${id.slice(0, 32)}-${id.slice(32)}-00` };
}
