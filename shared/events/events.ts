import { toIso } from '../platform/clock.ts';

/** Every event there is. */
export const eventTypes = [
  'mailroom.mail.imported',
  'mailroom.mail.quarantined',
  'mailroom.mail.disposed',
  'mailroom.message.sent',
  'mailroom.message.failed',
  'mailroom.message.uncertain',
  'mailroom.message.bounced',
  'mailroom.account.failing',
  'mailroom.account.recovered',
  'mailroom.webhook.test',
] as const;

export type EventType = (typeof eventTypes)[number];

/** Something that happened, before it is a CloudEvent. */
export interface MailroomEvent {
  readonly type: EventType;
  readonly account: string;
  /** The asset's or message's id; for an account's own events its name and the instant the failing began. */
  readonly subject: string;
  /** What distinguishes events of one type and subject, where there can be several; it ends the id. */
  readonly occasion?: string;
  /** When it happened, in ms. Repeats of an event carry the same. */
  readonly time: number;
  /** Identifiers, counts and states only: never an address, a subject or a body. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** How an event is published. */
export interface PublishOptions {
  readonly signal?: AbortSignal;
}

/** Where events go. At least once each, under a stable id: what `publish` has answered is durable there. */
export interface EventSink {
  publish(event: MailroomEvent, options?: PublishOptions): Promise<void>;
}

/** CloudEvents 1.0, structured JSON. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: Readonly<Record<string, unknown>>;
}

/** The event as it is sent (CloudEvents 1.0, JSON format). Its id is the same however often it is made. */
export function cloudEvent(event: MailroomEvent): CloudEvent {
  return {
    specversion: '1.0',
    id: `${event.type}:${event.subject}${event.occasion === undefined ? '' : `:${event.occasion}`}`,
    source: `/accounts/${event.account}`,
    type: event.type,
    subject: event.subject,
    time: toIso(event.time),
    datacontenttype: 'application/json',
    data: event.data,
  };
}

/**
 * Publishes to every sink at the same time. One that fails keeps no event from the others; its error is thrown in the end,
 * and the caller publishes the event again: those that have it get it twice, under the same id.
 */
export function toAll(sinks: readonly EventSink[]): EventSink {
  return {
    async publish(event, options) {
      const results = await Promise.allSettled(sinks.map((sink) => sink.publish(event, options)));
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    },
  };
}
