import type { QueueClient } from '@azure/storage-queue';
import { toIso } from '../platform/clock.ts';

export type EventType =
  | 'mailroom.mail.imported'
  | 'mailroom.mail.quarantined'
  | 'mailroom.mail.disposed'
  | 'mailroom.message.sent'
  | 'mailroom.message.failed'
  | 'mailroom.message.uncertain'
  | 'mailroom.account.failing'
  | 'mailroom.account.recovered';

export interface MailroomEvent {
  readonly type: EventType;
  readonly account: string;
  /** The asset's or message's id; for an account's own events its name and the instant the failing began. */
  readonly subject: string;
  /** When it happened, in ms. Repeats of an event carry the same. */
  readonly time: number;
  /** Identifiers, counts and states only: never an address, a subject or a body. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Where events go. At least once each, under a stable id. */
export interface EventSink {
  publish(event: MailroomEvent, options?: { readonly signal?: AbortSignal }): Promise<void>;
}

/** CloudEvents 1.0, structured JSON. */
export function cloudEvent(event: MailroomEvent) {
  return {
    specversion: '1.0',
    id: `${event.type}:${event.subject}`,
    source: `/accounts/${event.account}`,
    type: event.type,
    subject: event.subject,
    time: toIso(event.time),
    datacontenttype: 'application/json',
    data: event.data,
  };
}

/** Puts events on the queue that the customer reads; base64, as Functions queue triggers expect; they never expire. */
export function queueEvents(queue: () => Promise<QueueClient>): EventSink {
  return {
    async publish(event, options = {}) {
      const text = Buffer.from(JSON.stringify(cloudEvent(event))).toString('base64');
      await (await queue()).sendMessage(text, {
        messageTimeToLive: -1,
        ...(options.signal ? { abortSignal: options.signal } : {}),
      });
    },
  };
}
