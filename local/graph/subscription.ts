import type { ChangeType, Folder } from './item.ts';
import type { Mailbox } from './mailbox.ts';

/** A subscription to change notifications of mail ("subscription resource type"). */
export interface Subscription {
  readonly id: string;
  readonly appId: string;
  readonly tenantId: string;
  readonly changeTypes: readonly ChangeType[];
  /** As it was given. */
  readonly resource: string;
  readonly mailbox: Mailbox;
  /** Undefined: every folder of the mailbox. */
  readonly folder: Folder | undefined;
  readonly notificationUrl: string;
  readonly lifecycleNotificationUrl: string | undefined;
  readonly clientState: string | undefined;
  readonly immutableIds: boolean;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** Graph has asked to reauthorize it; until then it sends no notifications. */
  paused: boolean;
  /** A notification was lost since. */
  missed: boolean;
}

export type LifecycleEvent = 'missed' | 'subscriptionRemoved' | 'reauthorizationRequired';

/** As JSON. `clientState` is shown to its maker when it is made, and never again ("List subscriptions"). */
export function subscriptionJson(subscription: Subscription, options: { readonly withState: boolean }) {
  const { appId, clientState, lifecycleNotificationUrl, expiresAt } = subscription;
  return {
    id: subscription.id,
    resource: subscription.resource,
    applicationId: appId,
    changeType: subscription.changeTypes.join(','),
    clientState: options.withState ? (clientState ?? null) : null,
    notificationUrl: subscription.notificationUrl,
    lifecycleNotificationUrl: lifecycleNotificationUrl ?? null,
    expirationDateTime: new Date(expiresAt).toISOString(),
    creatorId: appId,
    includeResourceData: null,
    latestSupportedTlsVersion: 'v1_2',
    encryptionCertificate: null,
    encryptionCertificateId: null,
    notificationQueryOptions: null,
    notificationUrlAppId: null,
  };
}
