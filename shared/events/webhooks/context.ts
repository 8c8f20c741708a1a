import type { Clock } from '../../platform/clock.ts';
import type { Rows } from '../../platform/rows.ts';
import type { Shutdown } from '../../platform/shutdown.ts';
import type { WakeUps } from '../deliveries/wake-ups.ts';
import type { TargetNetwork } from './target-network.ts';
import type { Webhook } from './webhook.ts';

/** An account as its webhook sees it. */
export interface WebhookAccount {
  /** Null: it has none. */
  readonly webhook: Webhook | null;
  /** Another one after each time that the account is saved. */
  readonly version: string;
}

/** What delivering to webhooks works with; made once per process. */
export interface WebhookContext {
  readonly clock: Clock;
  readonly rows: Rows;
  readonly shutdown: Shutdown;
  readonly wakeUps: WakeUps;
  readonly network: TargetNetwork;
  /** The account, as it was at most some seconds ago. */
  readonly recentAccount: (
    name: string,
    options: { readonly signal?: AbortSignal },
  ) => Promise<WebhookAccount | undefined>;
  /** The account, read now. */
  readonly account: (name: string, signal: AbortSignal) => Promise<WebhookAccount | undefined>;
  /** Names of the accounts that have a webhook. */
  readonly accounts: (signal: AbortSignal) => Promise<readonly string[]>;
  /** Every account there is or was. */
  readonly accountNames: (signal: AbortSignal) => Promise<readonly string[]>;
  /**
   * Values of a secret that were current at `since` (ms since the epoch) or later, the newest first. Throws SecretMissing,
   * SecretWithheld, or what goes wrong.
   */
  readonly secrets: (
    account: string,
    name: string,
    options: { readonly since: number; readonly signal: AbortSignal },
  ) => Promise<readonly string[]>;
}
