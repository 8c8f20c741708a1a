import { AsyncLocalStorage } from 'node:async_hooks';

/** Fields of a log line: identifiers, counts and durations only. Secrets, addresses and message contents never go in. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export type LogLevel = 'info' | 'warn' | 'error';

/** Where log lines go: the invocation's own log inside Azure Functions, so that lines are correlated there. */
export type LogSink = (level: LogLevel, line: string) => void;

const sinks = new AsyncLocalStorage<LogSink>();

const consoleSink: LogSink = (level, line) => {
  (level === 'error' ? console.error : level === 'warn' ? console.warn : console.info)(line);
};

/** Runs `work` with every log line it writes, however deep, going to `sink`. */
export function withLogSink<T>(sink: LogSink, work: () => T): T {
  return sinks.run(sink, work);
}

function write(level: LogLevel, event: string, fields: LogFields): void {
  (sinks.getStore() ?? consoleSink)(level, JSON.stringify({ event, ...fields }));
}

/** Structured log: one JSON object a line, `event` first. */
export const log = {
  info: (event: string, fields: LogFields = {}) => write('info', event, fields),
  warn: (event: string, fields: LogFields = {}) => write('warn', event, fields),
  error: (event: string, fields: LogFields = {}) => write('error', event, fields),
};

/** A short, single-line text for an unknown thrown value, fit for logs and status. */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.replace(/\s+/g, ' ').slice(0, 300);
}
