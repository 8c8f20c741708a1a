import type { InvocationResponse, RetryContext } from './core-types.ts';
import type { HostFunction } from './function-index.ts';
import type { Invocation, Invoker } from './invocation.ts';
import { messageOf, stackOf } from './log.ts';
import { retryDelay } from './retry.ts';
import { waitUntil } from './wait-until.ts';

/**
 * Invokes, and again by the function's retry policy, in memory: a stop or a crash forgets what was left.
 *
 * @throws the last error, when no retry is left or the signal is aborted.
 */
export async function invokeWithRetries(
  invoker: Invoker,
  fn: HostFunction,
  invocation: Invocation,
  signal: AbortSignal,
): Promise<InvocationResponse> {
  const { retry: policy } = fn;
  let retryContext: RetryContext | undefined;
  for (let retry = 1; ; retry += 1) {
    try {
      return await invoker.invoke(fn, { ...invocation, retryContext });
    } catch (error) {
      const exhausted = !policy || (policy.maxRetryCount >= 0 && retry > policy.maxRetryCount);
      if (exhausted || !(await waitUntil(Date.now() + retryDelay(policy, retry), signal))) throw error;
      retryContext = {
        retryCount: retry,
        maxRetryCount: policy.maxRetryCount,
        exception: { message: messageOf(error), source: fn.name, stackTrace: stackOf(error) },
      };
    }
  }
}
