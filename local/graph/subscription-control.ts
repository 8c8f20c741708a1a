import type { NotificationRecord, Notifications } from './notifications.ts';
import type { Subscription } from './subscription.ts';
import type { Subscriptions } from './subscriptions.ts';

/** A subscription as a test looks at it. */
export interface SubscriptionState {
  readonly id: string;
  readonly resource: string;
  /** User principal name of the mailbox. */
  readonly user: string;
  readonly notificationUrl: string;
  readonly lifecycleNotificationUrl: string | undefined;
  readonly changeType: string;
  readonly clientState: string | undefined;
  readonly immutableIds: boolean;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Subscriptions in the hands of Graph itself, and of a test. */
export class SubscriptionControl {
  readonly #subscriptions: Subscriptions;
  readonly #notifications: Notifications;

  constructor(subscriptions: Subscriptions, notifications: Notifications) {
    this.#subscriptions = subscriptions;
    this.#notifications = notifications;
  }

  /** Those of a mailbox, or all. */
  list(user?: string): readonly SubscriptionState[] {
    const all = this.#subscriptions.all().map(stateOf);
    return user === undefined ? all : all.filter((one) => one.user.toLowerCase() === user.toLowerCase());
  }

  /** It is gone, and no notification says so. */
  vanish(id: string): void {
    this.#subscriptions.end(id);
  }

  /** It is gone, and its endpoint is notified. */
  remove(id: string): void {
    this.#subscriptions.end(id, 'subscriptionRemoved');
  }

  /** It sends no more notifications until it is renewed or reauthorized, and its endpoint is notified. */
  requireReauthorization(id: string): void {
    this.#subscriptions.pause(id);
  }

  /** So many of the next notifications never leave. `tellMissed` says so. */
  lose(notifications: number): void {
    this.#notifications.toLose = notifications;
  }

  /** Sends `missed` for each subscription that missed something. */
  tellMissed(): void {
    this.#subscriptions.tellMissed();
  }

  /** What was posted to endpoints, oldest first. */
  get posts(): readonly NotificationRecord[] {
    return this.#notifications.records;
  }
}

function stateOf(one: Subscription): SubscriptionState {
  return {
    id: one.id,
    resource: one.resource,
    user: one.mailbox.userPrincipalName,
    notificationUrl: one.notificationUrl,
    lifecycleNotificationUrl: one.lifecycleNotificationUrl,
    changeType: one.changeTypes.join(','),
    clientState: one.clientState,
    immutableIds: one.immutableIds,
    expiresAt: one.expiresAt,
  };
}
