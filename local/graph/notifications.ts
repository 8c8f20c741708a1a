import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChangeType, Item } from './item.ts';
import { etag } from './message-json.ts';
import { callEndpoint } from './notification-sender.ts';
import type { LifecycleEvent, Subscription } from './subscription.ts';
import { invalid } from './subscription-input.ts';

/** A post to a notification endpoint, as a test looks at it. */
export interface NotificationRecord {
  readonly url: string;
  readonly kind: 'validation' | 'change' | 'lifecycle';
  /** Notifications in it. */
  readonly count: number;
  readonly attempt: number;
  /** 0: there was no answer in time. */
  readonly status: number;
  readonly ms: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** How notifications are delivered; default: as Microsoft says. */
export interface NotificationOptions {
  readonly now: () => number;
  /** PEM of the authority that endpoints' certificates are checked by. */
  readonly ca: string;
  /** Milliseconds from a change to its notification. */
  readonly delayMs?: number | undefined;
  /** Milliseconds before each next try of a notification that was not taken. */
  readonly pausesMs?: readonly number[] | undefined;
}

interface Pending {
  readonly url: string;
  readonly kind: 'change' | 'lifecycle';
  readonly value: readonly unknown[];
}

/** "notificationUrl validation". */
const validationMs = 10_000;
/** "Notifications are published using an HTTP client with a 3-second timeout." */
const publishMs = 3_000;
const defaultDelayMs = 50;
/** For up to four hours, with growing pauses. */
const defaultPausesMs = [1_000, 5_000, 30_000, 120_000, 600_000, 3_600_000, 9_600_000];
const maxPerPost = 50;
const maxRecords = 10_000;

/** Notifies endpoints of changes, and asks them first whether they want notifications. */
export class Notifications {
  readonly #options: NotificationOptions;
  readonly #stop = new AbortController();
  /** By url: what goes with the next post to it. */
  readonly #gathering = new Map<string, unknown[]>();
  readonly #underWay = new Set<Promise<void>>();
  readonly records: NotificationRecord[] = [];
  /** How many of the next notifications are lost on their way. */
  toLose = 0;

  constructor(options: NotificationOptions) {
    this.#options = options;
  }

  /** The handshake by which an endpoint shows that it wants notifications. Throws GraphRefusal 400 where it does not. */
  async validate(url: string): Promise<void> {
    // With characters that must come back decoded.
    const token = `Validation: Testing client application reachability for subscription Request-Id: ${randomUUID()} +%&=/`;
    const target = new URL(url);
    target.search += `${target.search === '' ? '?' : '&'}validationToken=${encodeURIComponent(token)}`;
    const result = await this.#call(target.href, 'validation', {
      body: '',
      type: 'text/plain; charset=utf-8',
      count: 0,
    });
    if (result.status === 0) throw invalid('Subscription validation request timed out.');
    const isPlain = /^text\/plain\b/i.test(result.contentType);
    if (result.status !== 200 || !isPlain || result.text !== token) {
      throw invalid(
        'Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request.',
      );
    }
  }

  /** A message has come to be, was changed, or is gone. What comes close together for one endpoint goes in one post. */
  change(subscription: Subscription, changeType: ChangeType, item: Item): void {
    if (subscription.paused || this.toLose > 0) {
      if (!subscription.paused) this.toLose -= 1;
      subscription.missed = true;
      return;
    }
    const { notificationUrl, mailbox, immutableIds } = subscription;
    const id = item.id(immutableIds);
    const resource = `Users/${mailbox.userId}/Messages/${id}`;
    const notification = {
      id: randomBytes(12).toString('base64url'),
      ...envelope(subscription),
      changeType,
      resource,
      resourceData: {
        '@odata.type': '#Microsoft.Graph.Message',
        '@odata.id': resource,
        '@odata.etag': etag(item),
        id,
      },
    };
    const gathered = this.#gathering.get(notificationUrl);
    if (gathered) {
      gathered.push(notification);
      return;
    }
    this.#gathering.set(notificationUrl, [notification]);
    this.#track(this.#post(notificationUrl));
  }

  /** Notifies of what becomes of a subscription, where it has an address for that. */
  lifecycle(subscription: Subscription, lifecycleEvent: LifecycleEvent): void {
    const { lifecycleNotificationUrl: url } = subscription;
    if (url === undefined) return;
    const value = [{ ...envelope(subscription), lifecycleEvent }];
    this.#track(this.#deliver({ url, kind: 'lifecycle', value }));
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    await Promise.all(this.#underWay);
  }

  async #post(url: string): Promise<void> {
    await this.#pause(this.#options.delayMs ?? defaultDelayMs);
    const all = this.#gathering.get(url) ?? [];
    this.#gathering.delete(url);
    for (let at = 0; at < all.length; at += maxPerPost) {
      await this.#deliver({ url, kind: 'change', value: all.slice(at, at + maxPerPost) });
    }
  }

  /** Until an endpoint takes it, or four hours have passed. */
  async #deliver({ url, kind, value }: Pending): Promise<void> {
    const pauses = this.#options.pausesMs ?? defaultPausesMs;
    for (let attempt = 1; !this.#stop.signal.aborted; attempt += 1) {
      const body = JSON.stringify({ value });
      const { status } = await this.#call(url, kind, { body, type: 'application/json', count: value.length, attempt });
      const pause = pauses[attempt - 1];
      if ((status >= 200 && status < 300) || pause === undefined) return;
      await this.#pause(pause);
    }
  }

  async #call(
    url: string,
    kind: NotificationRecord['kind'],
    { body, type, count, attempt = 1 }: { body: string; type: string; count: number; attempt?: number },
  ) {
    const timeoutMs = kind === 'validation' ? validationMs : publishMs;
    const { ca, now } = this.#options;
    const result = await callEndpoint(url, { body, contentType: type, timeoutMs, ca, signal: this.#stop.signal });
    const { origin, pathname } = new URL(url);
    const { status, ms } = result;
    this.records.push({ url: `${origin}${pathname}`, kind, count, attempt, status, ms, at: now() });
    if (this.records.length > maxRecords) this.records.shift();
    return result;
  }

  /** Ends early where the stand-in stops. */
  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
  }

  #track(work: Promise<void>): void {
    const tracked: Promise<void> = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }
}

function envelope({ id, expiresAt, clientState, tenantId }: Subscription) {
  return {
    subscriptionId: id,
    subscriptionExpirationDateTime: new Date(expiresAt).toISOString(),
    clientState: clientState ?? null,
    tenantId,
  };
}
