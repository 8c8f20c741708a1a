import { randomUUID } from 'node:crypto';
import type { Caller } from './bearer.ts';
import { GraphRefusal } from './graph-error.ts';
import type { ChangeType, Folder, Item } from './item.ts';
import type { Mailbox } from './mailbox.ts';
import type { Notifications } from './notifications.ts';
import { RequestRate } from './request-rate.ts';
import type { LifecycleEvent, Subscription } from './subscription.ts';
import type { SubscriptionInput } from './subscription-input.ts';

/** Of one mailbox, over all apps ("Change notifications for Outlook resources"). */
const maxPerMailbox = 1_000;

export interface SubscriptionsOptions {
  readonly now: () => number;
  readonly notifications: Notifications;
}

/** Every subscription there is. One whose time is over is gone. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #all = new Map<string, Subscription>();
  readonly #writes: RequestRate;
  readonly #lists: RequestRate;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    // Of one app in one tenant.
    this.#writes = new RequestRate({ requests: 500, withinMs: 20_000, now: options.now });
    this.#lists = new RequestRate({ requests: 25, withinMs: 20_000, now: options.now });
  }

  /** Makes one, once both its endpoints have answered. Throws GraphRefusal. */
  async create(caller: Caller, input: SubscriptionInput, immutableIds: boolean): Promise<Subscription> {
    this.#writes.enter(ownerOf(caller));
    this.#refuseTwice(caller, input);
    const { notifications } = this.#options;
    await notifications.validate(input.notificationUrl);
    if (input.lifecycleNotificationUrl !== undefined) await notifications.validate(input.lifecycleNotificationUrl);
    // Another request may have been faster.
    this.#refuseTwice(caller, input);
    const { appId, tenantId } = caller;
    const made: Subscription = {
      ...input,
      id: randomUUID(),
      appId,
      tenantId,
      immutableIds,
      paused: false,
      missed: false,
    };
    this.#all.set(made.id, made);
    return made;
  }

  /** Renewing reauthorizes as well. Throws GraphRefusal 404 where it is gone. */
  renew(caller: Caller, id: string, expiresAt: number): Subscription {
    this.#writes.enter(ownerOf(caller));
    const found = this.#own(caller, id);
    found.expiresAt = expiresAt;
    this.#resume(found);
    return found;
  }

  reauthorize(caller: Caller, id: string): void {
    this.#writes.enter(ownerOf(caller));
    this.#resume(this.#own(caller, id));
  }

  remove(caller: Caller, id: string): void {
    this.#writes.enter(ownerOf(caller));
    this.#all.delete(this.#own(caller, id).id);
  }

  get(caller: Caller, id: string): Subscription {
    return this.#own(caller, id);
  }

  /** The caller's own, in whatever mailbox of its tenant. */
  list(caller: Caller): readonly Subscription[] {
    this.#lists.enter(ownerOf(caller));
    return this.all().filter((one) => ownerOf(one) === ownerOf(caller));
  }

  /** All there are, whoever's. */
  all(): readonly Subscription[] {
    const now = this.#options.now();
    for (const [id, { expiresAt }] of this.#all) if (expiresAt <= now) this.#all.delete(id);
    return [...this.#all.values()];
  }

  /** Something has happened to a message. */
  changed(mailbox: Mailbox, folder: Folder, changeType: ChangeType, item: Item): void {
    for (const one of this.all()) {
      const concerns = one.mailbox === mailbox && (one.folder === undefined || one.folder === folder);
      if (concerns && one.changeTypes.includes(changeType)) this.#options.notifications.change(one, changeType, item);
    }
  }

  /** Ends one without a word, or with the event that says so. */
  end(id: string, event?: Extract<LifecycleEvent, 'subscriptionRemoved'>): void {
    const found = this.#all.get(id);
    this.#all.delete(id);
    if (found && event) this.#options.notifications.lifecycle(found, event);
  }

  /** Asks for one to be reauthorized; until then it sends no notifications. */
  pause(id: string): void {
    const found = this.#all.get(id);
    if (!found) return;
    found.paused = true;
    this.#options.notifications.lifecycle(found, 'reauthorizationRequired');
  }

  /** Tells those that missed something. */
  tellMissed(): void {
    for (const one of this.all()) {
      if (!one.missed || one.paused) continue;
      one.missed = false;
      this.#options.notifications.lifecycle(one, 'missed');
    }
  }

  #resume(found: Subscription): void {
    found.paused = false;
  }

  #own(caller: Caller, id: string): Subscription {
    const found = this.all().find((one) => one.id.toLowerCase() === id.toLowerCase());
    if (!found || ownerOf(found) !== ownerOf(caller))
      throw new GraphRefusal(404, 'ResourceNotFound', 'The object was not found.');
    return found;
  }

  /**
   * Microsoft's page refuses a second subscription with the same changeType and resource; others report that the address
   * counts as well. The page is the stricter of the two.
   */
  #refuseTwice(caller: Caller, { mailbox, folder, changeTypes }: SubscriptionInput): void {
    const ofMailbox = this.all().filter((one) => one.mailbox === mailbox);
    const types = [...changeTypes].sort().join();
    const same = ofMailbox.find(
      (one) =>
        ownerOf(one) === ownerOf(caller) && one.folder === folder && [...one.changeTypes].sort().join() === types,
    );
    if (same)
      throw new GraphRefusal(
        409,
        'Conflict',
        `Subscription Id ${same.id} already exists for the requested combination`,
      );
    if (ofMailbox.length >= maxPerMailbox)
      throw new GraphRefusal(
        403,
        'ExtensionError',
        'The number of subscriptions of the mailbox has reached its limit.',
      );
  }
}

const ownerOf = ({ appId, tenantId }: Pick<Subscription, 'appId' | 'tenantId'>) => `${tenantId}|${appId}`;
