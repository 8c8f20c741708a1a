import type { TargetNetwork } from '../events/webhooks/target-network.ts';
import { badInput, type Mistake } from '../platform/refusal.ts';
import type { Account } from './rules.ts';

/** Warnings about the target of an account's webhook. Throws Refusal `invalid` where it cannot be one. */
export async function webhookWarnings(
  { webhook }: Account,
  targets: Pick<TargetNetwork, 'check'>,
  signal: AbortSignal,
): Promise<readonly Mistake[]> {
  const found = webhook ? await targets.check(webhook.url, signal) : undefined;
  if (!found) return [];
  const pointer = '/webhook/url';
  if ('mistake' in found) throw badInput([{ pointer, detail: found.mistake }]);
  return [{ pointer, detail: found.warning }];
}
