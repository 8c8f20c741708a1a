import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { LogLevel } from './core-types.ts';
import { parseJsonWithComments } from './json-with-comments.ts';
import { type LogLevels, messageOf, parseLogLevel } from './log.ts';
import type { Settings } from './settings-resolution.ts';
import { parseTimeSpan } from './time-span.ts';

/** What this host reads of host.json; durations in milliseconds. */
export interface HostJson {
  /** undefined: no limit. */
  readonly functionTimeout: number | undefined;
  readonly http: HttpOptions;
  readonly queues: QueueOptions;
  readonly singleton: SingletonOptions;
  readonly logLevels: LogLevels;
}

export interface HttpOptions {
  readonly routePrefix: string;
  readonly customHeaders: readonly (readonly [string, string])[];
}

export interface QueueOptions {
  readonly batchSize: number;
  readonly newBatchThreshold: number;
  readonly maxDequeueCount: number;
  /** How long a message that failed stays away before it is tried again. */
  readonly visibilityTimeout: number;
  readonly maxPollingInterval: number;
  readonly messageEncoding: 'base64' | 'none';
}

export interface SingletonOptions {
  readonly listenerLockPeriod: number;
  readonly listenerLockRecoveryPollingInterval: number;
}

/** .NET configuration: paths joined by `:`, letter case does not count. Keys are lower case. */
type FlatConfig = Map<string, { readonly path: string; readonly value: string }>;

const OVERRIDE_PREFIX = 'AzureFunctionsJobHost:';
/** Deeper than any real host.json; ends a walk through a hostile one. */
const MAX_DEPTH = 20;
/** Flex Consumption's default. */
const DEFAULT_FUNCTION_TIMEOUT = '00:30:00';
const DAY = 86_400_000;
const MIN_POLLING_INTERVAL = 100;
/** WebJobs SDK: both are shorter when the environment is "Development". */
const DEVELOPMENT_LOCK_PERIOD = '00:00:15';
const DEVELOPMENT_POLLING_INTERVAL = '00:00:02';

/**
 * Reads host.json with the overrides of settings `AzureFunctionsJobHost__…` (Microsoft: "host.json reference").
 *
 * @throws one clear line naming the option.
 */
export async function readHostJson(appDir: string, settings: Settings): Promise<HostJson> {
  let json: unknown;
  try {
    json = parseJsonWithComments(await readFile(path.join(appDir, 'host.json'), 'utf8'));
  } catch (error) {
    throw new Error(`host.json could not be read: ${messageOf(error)}`);
  }
  return parseHostJson(json, settings);
}

/** As `readHostJson`, from what the file holds. @throws one clear line naming the option. */
export function parseHostJson(json: unknown, settings: Settings): HostJson {
  const config: FlatConfig = new Map();
  flatten(json, [], config);
  for (const [option, value] of settings.withPrefix(OVERRIDE_PREFIX)) {
    config.set(option.toLowerCase(), { path: option, value });
  }
  const read = reader(config);
  if (read.text('version') !== '2.0') throw new Error('host.json: "version" must be "2.0"');
  const development = settings.get('AZURE_FUNCTIONS_ENVIRONMENT')?.toLowerCase() === 'development';

  const batchSize = read.whole('extensions.queues.batchSize', 16, 1, 32);
  const threshold = batchSize === 1 ? 0 : Math.floor(batchSize / 2) * availableParallelism();
  const timeout = read.text('functionTimeout') ?? DEFAULT_FUNCTION_TIMEOUT;
  return {
    functionTimeout: timeout === '-1' ? undefined : read.span('functionTimeout', DEFAULT_FUNCTION_TIMEOUT, 1, 7 * DAY),
    http: {
      routePrefix: (read.text('extensions.http.routePrefix') ?? 'api').replace(/^\/+|\/+$/g, ''),
      customHeaders: read.children('extensions.http.customHeaders'),
    },
    queues: {
      batchSize,
      newBatchThreshold: read.whole('extensions.queues.newBatchThreshold', threshold, 0, 10_000),
      maxDequeueCount: read.whole('extensions.queues.maxDequeueCount', 5, 1, 1_000_000),
      visibilityTimeout: read.span('extensions.queues.visibilityTimeout', '00:00:00', 0, 7 * DAY),
      maxPollingInterval: read.span(
        'extensions.queues.maxPollingInterval',
        development ? DEVELOPMENT_POLLING_INTERVAL : '00:01:00',
        MIN_POLLING_INTERVAL,
        DAY,
      ),
      messageEncoding: read.oneOf('extensions.queues.messageEncoding', ['base64', 'none'] as const),
    },
    singleton: {
      // A blob lease lasts 15 to 60 seconds (Lease Blob, REST API).
      listenerLockPeriod: read.span(
        'singleton.listenerLockPeriod',
        development ? DEVELOPMENT_LOCK_PERIOD : '00:01:00',
        15_000,
        60_000,
      ),
      // Azure takes no less than 15 s here; a second is allowed so that a test need not wait.
      listenerLockRecoveryPollingInterval: read.span(
        'singleton.listenerLockRecoveryPollingInterval',
        '00:01:00',
        1_000,
        DAY,
      ),
    },
    logLevels: logLevels(read.children('logging.logLevel')),
  };
}

function flatten(value: unknown, at: readonly string[], into: FlatConfig): void {
  if (at.length > MAX_DEPTH) throw new Error(`host.json is nested deeper than ${MAX_DEPTH} levels`);
  if (typeof value === 'object' && value !== null) {
    for (const [key, child] of Object.entries(value)) flatten(child, [...at, key], into);
  } else if (value !== null && value !== undefined) {
    const joined = at.join(':');
    into.set(joined.toLowerCase(), { path: joined, value: String(value) });
  }
}

function reader(config: FlatConfig) {
  const text = (option: string) => config.get(option.replaceAll('.', ':').toLowerCase())?.value;
  const wrong = (option: string, expected: string): never => {
    throw new Error(`host.json: ${option} must be ${expected}, not ${JSON.stringify(text(option))}`);
  };
  return {
    text,
    whole: (option: string, standard: number, min: number, max: number): number => {
      const number = Number(text(option) ?? standard);
      if (!Number.isInteger(number) || number < min || number > max) {
        return wrong(option, `a whole number from ${min} to ${max}`);
      }
      return number;
    },
    span: (option: string, standard: string, min: number, max: number): number => {
      const milliseconds = parseTimeSpan(text(option) ?? standard);
      if (milliseconds === undefined || milliseconds < min || milliseconds > max) {
        return wrong(option, `a time span (hh:mm:ss) from ${min} ms to ${max} ms`);
      }
      return milliseconds;
    },
    oneOf: <T extends string>(option: string, [standard, ...others]: readonly [T, ...T[]]): T => {
      const value = text(option)?.toLowerCase() ?? standard;
      return (
        [standard, ...others].find((known) => known === value) ?? wrong(option, [standard, ...others].join(' or '))
      );
    },
    children: (section: string): readonly (readonly [string, string])[] => {
      const prefix = `${section.replaceAll('.', ':').toLowerCase()}:`;
      return [...config].flatMap(([key, entry]) =>
        key.startsWith(prefix) ? [[entry.path.slice(prefix.length), entry.value] as const] : [],
      );
    },
  };
}

function logLevels(entries: readonly (readonly [string, string])[]): LogLevels {
  const levels = new Map<string, LogLevel>();
  for (const [category, text] of entries) {
    const level = parseLogLevel(text);
    if (level === undefined) throw new Error(`host.json: logging.logLevel.${category} is no log level: ${text}`);
    levels.set(category.replaceAll(':', '.'), level);
  }
  return levels;
}
