import type { InvocationContext } from '@azure/functions';
import type { LogSink } from '../shared/platform/log.ts';

/** Log lines of an invocation go to its own log, where the platform correlates them. */
export function logTo(context: InvocationContext): LogSink {
  return (level, line) => context[level](line);
}
