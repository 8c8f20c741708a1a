import { z } from 'zod';

/** A function's retry policy, in milliseconds; `maxRetryCount` -1 means for ever. */
export type RetryPolicy =
  | { readonly strategy: 'fixedDelay'; readonly maxRetryCount: number; readonly delay: number }
  | {
      readonly strategy: 'exponentialBackoff';
      readonly maxRetryCount: number;
      readonly minimum: number;
      readonly maximum: number;
    };

const duration = z.looseObject({ seconds: z.coerce.number().min(0) }).transform(({ seconds }) => seconds * 1_000);
const schema = z.discriminatedUnion('strategy', [
  z.looseObject({ strategy: z.literal('fixedDelay'), maxRetryCount: z.int().min(-1), delayInterval: duration }),
  z.looseObject({
    strategy: z.literal('exponentialBackoff'),
    maxRetryCount: z.int().min(-1),
    minimumInterval: duration,
    maximumInterval: duration,
  }),
]);

/** The step the exponential strategy of the WebJobs SDK grows by. */
const BACKOFF_STEP = 2_000;
/** 2^30 steps are beyond any maximum; keeps the power finite. */
const MAX_EXPONENT = 30;

/** @throws when the policy is malformed; the function is then in error. */
export function parseRetryPolicy(options: unknown): RetryPolicy | undefined {
  if (options === undefined || options === null) return undefined;
  const parsed = schema.safeParse(options);
  if (!parsed.success) throw new Error('the retry policy is malformed');
  const { maxRetryCount } = parsed.data;
  return parsed.data.strategy === 'fixedDelay'
    ? { strategy: 'fixedDelay', maxRetryCount, delay: parsed.data.delayInterval }
    : {
        strategy: 'exponentialBackoff',
        maxRetryCount,
        minimum: parsed.data.minimumInterval,
        maximum: parsed.data.maximumInterval,
      };
}

/** Milliseconds to wait before retry number `retry` (from 1). */
export function retryDelay(policy: RetryPolicy, retry: number): number {
  if (policy.strategy === 'fixedDelay') return policy.delay;
  const random = 0.8 + Math.random() * 0.4;
  const growth = random * BACKOFF_STEP * (2 ** Math.min(retry - 1, MAX_EXPONENT) - 1);
  return Math.min(policy.maximum, policy.minimum + growth);
}
