import { z } from 'zod';
import type { RegisteredFunction } from './core.ts';
import type { Binding } from './core-types.ts';
import type { HostJson } from './host-json.ts';
import type { AuthLevel } from './keys.ts';
import { messageOf } from './log.ts';
import { compareOrdinalIgnoreCase } from './ordinal-order.ts';
import { compileTemplate, type RouteTemplate } from './route-template.ts';
import { parseSchedule, type Schedule } from './schedule.ts';
import { isOn, resolveSettings, type Settings } from './settings-resolution.ts';

interface IndexedFunction {
  readonly name: string;
  readonly registered: RegisteredFunction;
  readonly disabled: boolean;
  /** The trigger's binding name, under which its input travels. */
  readonly triggerName: string;
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
  /** Its status is kept in storage; Azure keeps none of a timer that comes more often than once a minute. */
  readonly useMonitor: boolean;
}

export interface QueueFunction extends IndexedFunction {
  readonly kind: 'queue';
  readonly queueName: string;
  readonly connection: string | undefined;
}

export type HostFunction = HttpFunction | TimerFunction | QueueFunction;

export interface FunctionIndex {
  /** In name order (ordinal, letter case does not count): the order in which routes are tried. */
  readonly functions: readonly HostFunction[];
  /** Functions that cannot run, with the reason; the others run. */
  readonly errors: readonly { readonly name: string; readonly reason: string }[];
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
  runOnStartup: z.literal(false, { error: 'this host runs no timer on start-up' }).nullish(),
  useMonitor: z.literal(true, { error: 'this host keeps the status of every timer' }).nullish(),
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
  for (const entry of registered) {
    const { name } = entry.metadata;
    try {
      functions.push(indexFunction(entry, hostJson, settings));
    } catch (error) {
      errors.push({ name, reason: reasonOf(error) });
    }
  }
  functions.sort((a, b) => compareOrdinalIgnoreCase(a.name, b.name));
  return { functions, errors };
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
  if (retryOptions !== undefined && retryOptions !== null) throw new Error('this host has no retry policies');
  for (const [, other] of entries) refuseOtherBinding(other, kind);
  const disabled =
    isOn(settings.get(`AzureWebJobs.${name}.Disabled`)) || isOn(settings.get(`AzureWebJobs__${name}__Disabled`));
  const common = {
    name,
    registered,
    disabled,
    triggerName,
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
  const { schedule: text } = timerSchema.parse(binding);
  const schedule = parseSchedule(resolveSettings(text, settings));
  return { schedule, useMonitor: !schedule.veryFrequent };
}

function queueOptions(binding: Binding, settings: Settings) {
  const { queueName, connection } = queueSchema.parse(binding);
  const resolved = resolveSettings(queueName, settings).toLowerCase();
  if (!QUEUE_NAME.test(resolved)) throw new Error(`"${resolved}" is no name for a queue`);
  return { queueName: resolved, connection: connection ? resolveSettings(connection, settings) : undefined };
}

/** Beside its trigger a function has at most the answer of an HTTP trigger. */
function refuseOtherBinding({ type, direction }: Binding, triggerKind: string): void {
  const kind = type.toLowerCase();
  if (kind.endsWith('trigger')) return;
  if (kind === 'http' && direction === 'out' && triggerKind === 'httptrigger') return;
  throw new Error(`this host has no ${direction === 'in' ? 'input' : 'output'} binding of type ${type}`);
}

function reasonOf(error: unknown): string {
  return error instanceof z.ZodError
    ? error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
    : messageOf(error);
}
