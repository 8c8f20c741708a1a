import { z } from 'zod';
import type { RegisteredFunction } from './core.ts';
import type { Binding } from './core-types.ts';
import type { HostJson } from './host-json.ts';
import type { AuthLevel } from './keys.ts';
import { messageOf } from './log.ts';
import { parseRetryPolicy, type RetryPolicy } from './retry.ts';
import { compileTemplate, type RouteTemplate } from './route-template.ts';
import { compareOrdinalIgnoreCase } from './routes.ts';
import { parseSchedule, type Schedule } from './schedule.ts';
import { isOn, resolveSettings, type Settings } from './settings-resolution.ts';

interface IndexedFunction {
  readonly name: string;
  readonly registered: RegisteredFunction;
  readonly disabled: boolean;
  readonly retry: RetryPolicy | undefined;
  /** The trigger's binding name, under which its input travels. */
  readonly triggerName: string;
  readonly outputs: readonly QueueOutput[];
}

export interface HttpFunction extends IndexedFunction {
  readonly kind: 'http';
  readonly template: RouteTemplate;
  /** Upper case; undefined: every method. */
  readonly methods: ReadonlySet<string> | undefined;
  readonly authLevel: AuthLevel;
}

export interface TimerFunction extends IndexedFunction {
  readonly kind: 'timer';
  readonly schedule: Schedule;
  readonly runOnStartup: boolean;
  readonly useMonitor: boolean;
}

export interface QueueFunction extends IndexedFunction {
  readonly kind: 'queue';
  readonly queueName: string;
  readonly connection: string | undefined;
}

export type HostFunction = HttpFunction | TimerFunction | QueueFunction;

/** An output to a storage queue; `name` is the binding's, `$return` for the handler's result. */
export interface QueueOutput {
  readonly name: string;
  readonly queueName: string;
  readonly connection: string | undefined;
}

export interface FunctionIndex {
  /** In name order (ordinal, letter case does not count): the order in which routes are tried. */
  readonly functions: readonly HostFunction[];
  /** Functions that cannot run, with the reason; the others run. */
  readonly errors: readonly { readonly name: string; readonly reason: string }[];
  readonly warnings: readonly string[];
}

const NAME = /^[a-z][a-z0-9_-]{0,127}$/i;
/** Naming rules of queues (Microsoft: "Naming Queues and Metadata"). */
const QUEUE_NAME = /^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/;

const httpSchema = z.looseObject({
  route: z.string().nullish(),
  methods: z.array(z.string()).nullish(),
  authLevel: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['anonymous', 'function', 'admin']))
    .default('function'),
});
const timerSchema = z.looseObject({
  schedule: z.string().min(1),
  runOnStartup: z.boolean().nullish(),
  useMonitor: z.boolean().nullish(),
});
const queueSchema = z.looseObject({ queueName: z.string().min(1), connection: z.string().nullish() });

/** Reads what the app registered. Never throws: what is wrong with one function is that function's error. */
export function indexFunctions(
  registered: readonly RegisteredFunction[],
  hostJson: HostJson,
  settings: Settings,
): FunctionIndex {
  const functions: HostFunction[] = [];
  const errors: { name: string; reason: string }[] = [];
  const warnings: string[] = [];
  for (const entry of registered) {
    const { name } = entry.metadata;
    try {
      const fn = indexFunction(entry, hostJson, settings);
      functions.push(fn);
      if (fn.retry && fn.kind === 'http') warnings.push(`Function '${name}': an HTTP trigger has no retries; ignored.`);
      if (fn.retry && fn.kind === 'queue') {
        warnings.push(
          `Function '${name}': retry policies on queue triggers are deprecated; dequeueCount retries as well.`,
        );
      }
    } catch (error) {
      errors.push({ name, reason: reasonOf(error) });
    }
  }
  functions.sort((a, b) => compareOrdinalIgnoreCase(a.name, b.name));
  return { functions, errors, warnings };
}

function indexFunction(registered: RegisteredFunction, hostJson: HostJson, settings: Settings): HostFunction {
  const { name, bindings, retryOptions } = registered.metadata;
  if (!NAME.test(name)) throw new Error('the name must begin with a letter and hold only letters, digits, - and _');
  const entries = Object.entries(bindings);
  const triggers = entries.filter(([, binding]) => /trigger$/i.test(binding.type));
  const [trigger] = triggers;
  if (!trigger || triggers.length > 1) throw new Error(`it has ${triggers.length} triggers, and needs exactly one`);
  const [triggerName, binding] = trigger;
  const kind = binding.type.toLowerCase();
  const disabled =
    isOn(settings.get(`AzureWebJobs.${name}.Disabled`)) || isOn(settings.get(`AzureWebJobs__${name}__Disabled`));
  const common = {
    name,
    registered,
    disabled,
    triggerName,
    retry: parseRetryPolicy(retryOptions),
    outputs: entries.flatMap(([key, other]) => outputOf(key, other, kind, settings)),
  };
  switch (kind) {
    case 'httptrigger':
      return { kind: 'http', ...common, ...httpOptions(name, binding, hostJson, settings) };
    case 'timertrigger':
      return { kind: 'timer', ...common, ...timerOptions(binding, settings) };
    case 'queuetrigger':
      return { kind: 'queue', ...common, ...queueOptions(binding, settings) };
    default:
      throw new Error(`this host has no ${binding.type}: only httpTrigger, timerTrigger and queueTrigger`);
  }
}

function httpOptions(name: string, binding: Binding, hostJson: HostJson, settings: Settings) {
  const { route, methods, authLevel } = httpSchema.parse(binding);
  const own = resolveSettings(route ?? name, settings).replace(/^\/+/, '');
  if (/^(admin|runtime)/i.test(own)) throw new Error(`route "${own}" conflicts with the host's own routes`);
  return {
    template: compileTemplate([hostJson.http.routePrefix, own].filter((part) => part !== '').join('/')),
    methods: methods && methods.length > 0 ? new Set(methods.map((method) => method.toUpperCase())) : undefined,
    authLevel,
  };
}

function timerOptions(binding: Binding, settings: Settings) {
  const { schedule: text, runOnStartup, useMonitor } = timerSchema.parse(binding);
  const schedule = parseSchedule(resolveSettings(text, settings));
  return { schedule, runOnStartup: runOnStartup ?? false, useMonitor: (useMonitor ?? true) && !schedule.veryFrequent };
}

function queueOptions(binding: Binding, settings: Settings) {
  const { queueName, connection } = queueSchema.parse(binding);
  const resolved = resolveSettings(queueName, settings).toLowerCase();
  if (!QUEUE_NAME.test(resolved)) throw new Error(`"${resolved}" is no name for a queue`);
  return { queueName: resolved, connection: connection ? resolveSettings(connection, settings) : undefined };
}

function outputOf(name: string, binding: Binding, triggerKind: string, settings: Settings): readonly QueueOutput[] {
  const type = binding.type.toLowerCase();
  if (type.endsWith('trigger')) return [];
  if (type === 'http' && binding.direction === 'out' && triggerKind === 'httptrigger') return [];
  if (type === 'queue' && binding.direction === 'out') return [{ name, ...queueOptions(binding, settings) }];
  throw new Error(
    `this host has no ${binding.direction === 'in' ? 'input' : 'output'} binding of type ${binding.type}`,
  );
}

function reasonOf(error: unknown): string {
  return error instanceof z.ZodError
    ? error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
    : messageOf(error);
}
