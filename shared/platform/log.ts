import { AsyncLocalStorage } from 'node:async_hooks';

/** Fields of a log line: identifiers, counts and durations only. Secrets, addresses and message contents never go in. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Severity of a log line. */
export type LogLevel = 'info' | 'warn' | 'error';

/** Where log lines go: the invocation's own log inside Azure Functions, so that lines are correlated there. */
export type LogSink = (level: LogLevel, line: string) => void;

/** What every line has that is written, however deep, within a piece of work. */
export interface LogScope {
  readonly sink?: LogSink;
  /** Of the invocation: 32 hex digits (W3C Trace Context), the operation id of Application Insights. */
  readonly traceId?: string;
  /** What the work is about: account, run, message. */
  readonly fields?: LogFields;
}

const scopes = new AsyncLocalStorage<LogScope>();

/** Writes to the process's own output. */
export const consoleSink: LogSink = (level, line) => {
  (level === 'error' ? console.error : level === 'warn' ? console.warn : console.info)(line);
};

/** Runs `work` within a scope, on top of the one it is called in. */
export function inLogScope<T>(scope: LogScope, work: () => T): T {
  const outer = scopes.getStore();
  return scopes.run({ ...outer, ...scope, fields: { ...outer?.fields, ...scope.fields } }, work);
}

/** The trace id of the invocation that runs now; undefined outside of one. */
export function currentTraceId(): string | undefined {
  return scopes.getStore()?.traceId;
}

function write(level: LogLevel, event: string, fields: LogFields): void {
  const scope = scopes.getStore();
  (scope?.sink ?? consoleSink)(level, JSON.stringify({ event, ...scope?.fields, ...fields }));
}

/** Structured log: one JSON object a line, `event` first. */
export const log = {
  info: (event: string, fields: LogFields = {}) => write('info', event, fields),
  warn: (event: string, fields: LogFields = {}) => write('warn', event, fields),
  error: (event: string, fields: LogFields = {}) => write('error', event, fields),
};

/** Milliseconds since an instant of `performance.now()`, for the field `ms`. */
export function msSince(start: number): number {
  return Math.round(performance.now() - start);
}

/** A short, single-line text for an unknown thrown value, fit for logs and status. */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.replace(/\s+/g, ' ').slice(0, 300);
}
