import type { Receipt } from '../../adapters/transport.ts';
import { log } from '../../platform/log.ts';
import type { MessageRecord } from '../record.ts';
import { resentAt } from './outcome.ts';

/**
 * The line of one attempt, within the delivery's scope: the status of a message's last one is what became of it.
 * `traceId` is that of the call which handed the mail in, `sinceDueMs` the time since then (or since its `sendAt`, or
 * since it was to be sent again).
 */
export function logAttempt(after: MessageRecord, receipt: Receipt, now: number, ms: number): void {
  const { code, scope, retryAfterMs } = receipt.trouble ?? {};
  const count = (outcome: string) => receipt.recipients.filter((result) => result.outcome === outcome).length;
  log.info('outbox.attempt', {
    traceId: after.traceId,
    status: after.status,
    attempt: after.attempts.length,
    accepted: count('accepted'),
    rejected: count('rejected'),
    code,
    scope,
    bytes: after.size,
    ms,
    sinceDueMs: now - Date.parse(resentAt(after) ?? after.sendAt ?? after.createdAt),
  });
  if (scope === 'throttled') {
    log.warn('provider.throttled', { code, retryAfterMs });
  }
}
