import type { LogLevel } from './core-types.ts';

/** The host's log: levels and categories as host.json's `logging.logLevel` knows them. */
export interface HostLog {
  write(level: LogLevel, category: string, message: string): void;
  /** False when a line would be dropped: lets hot paths skip formatting it. */
  enabled(level: LogLevel, category: string): boolean;
}

/** Minimum level per category prefix; `default` holds for the rest. */
export type LogLevels = ReadonlyMap<string, LogLevel>;

export type LogSink = (level: LogLevel, line: string) => void;

const ORDER: Readonly<Record<LogLevel, number>> = {
  trace: 0,
  debug: 1,
  information: 2,
  warning: 3,
  error: 4,
  critical: 5,
  none: 6,
};

/** Categories met are remembered for speed; an app cannot make more than this many of them stay. */
const REMEMBERED_CATEGORIES = 1_000;

/** Reads a level name as .NET does: any letter case. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const lower = text.toLowerCase();
  return Object.keys(ORDER).find((level): level is LogLevel => level === lower);
}

/** Warnings and worse go to standard error, the rest to standard output, each line with the time (UTC). */
export const consoleSink: LogSink = (level, line) => {
  const stamped = `[${new Date().toISOString()}] ${line}\n`;
  (ORDER[level] >= ORDER.warning ? process.stderr : process.stdout).write(stamped);
};

/** The longest category prefix in `levels` decides (Microsoft: "Configure monitoring for Azure Functions"). */
export function createLog(levels: LogLevels, sink: LogSink = consoleSink): HostLog {
  const byPrefix = [...levels].map(([prefix, level]) => [prefix.toLowerCase(), ORDER[level]] as const);
  const remembered = new Map<string, number>();

  function minimum(category: string): number {
    const known = remembered.get(category);
    if (known !== undefined) return known;
    const lower = category.toLowerCase();
    let found = ORDER.information;
    let length = -1;
    for (const [prefix, level] of byPrefix) {
      const matches = prefix === 'default' ? length < 0 : lower === prefix || lower.startsWith(`${prefix}.`);
      if (matches && (prefix === 'default' || prefix.length > length)) {
        found = level;
        if (prefix !== 'default') length = prefix.length;
      }
    }
    if (remembered.size < REMEMBERED_CATEGORIES) remembered.set(category, found);
    return found;
  }

  const enabled = (level: LogLevel, category: string) => level !== 'none' && ORDER[level] >= minimum(category);
  return {
    enabled,
    write: (level, category, message) => {
      if (enabled(level, category)) sink(level, message);
    },
  };
}

/** Name and message of something thrown; the message only. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Stack of something thrown, for the log of the person who wrote the function. */
export function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
}
