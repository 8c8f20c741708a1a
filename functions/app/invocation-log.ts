import type { InvocationContext } from '@azure/functions';
import { consoleSink, inLogScope, type LogSink } from '../../shared/platform/log.ts';

/** W3C Trace Context: `version-traceid-parentid-flags`. The platform calls the trace id the operation. */
const traceParent = /^[0-9a-f]{2}-([0-9a-f]{32})-/;

/**
 * Runs `task` with its log lines going to the invocation's log, where the platform correlates them, and with its trace
 * id known. Lines of what goes on after the invocation has ended go to the console, which the host keeps as well: the
 * invocation's own log would lose them.
 */
export async function inInvocation<T>(context: InvocationContext, task: () => Promise<T>): Promise<T> {
  let ended = false;
  const sink: LogSink = (level, line) => (ended ? consoleSink(level, line) : context[level](line));
  const traceId = traceParent.exec(context.traceContext?.traceParent ?? '')?.[1];
  try {
    return await inLogScope({ sink, ...(traceId === undefined ? {} : { traceId }) }, task);
  } finally {
    ended = true;
  }
}
