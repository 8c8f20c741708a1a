import type { Caller } from './bearer.ts';
import type { Fault, FaultKind } from './faults.ts';
import type { Item } from './item.ts';
import type { Mailbox } from './mailbox.ts';
import type { View } from './message-json.ts';
import type { Preferences } from './prefer.ts';
import type { Reply } from './reply.ts';
import type { Transport } from './submission.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { UploadSessions } from './upload-sessions.ts';

/** What operations work with. */
export interface Service {
  readonly now: () => number;
  readonly transport: Transport;
  readonly uploads: UploadSessions;
  readonly subscriptions: Subscriptions;
  /** By object id or user principal name. */
  readonly mailbox: (user: string) => Mailbox | undefined;
  /** Where DELETE on a message puts it: Microsoft leaves it open. */
  readonly deleteGoesTo: 'deleteditems' | 'recoverableitemsdeletions';
  /** False in the national clouds. */
  readonly canPurge: boolean;
}

/** A request that was let in and read. */
export interface OpenCall {
  readonly service: Service;
  readonly caller: Caller;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly prefer: Preferences;
  readonly ifMatch: string | undefined;
  /** `https://host:port`, as the client addressed it. */
  readonly origin: string;
  /** JSON that has passed the schema; undefined for another media type or none. */
  readonly json: unknown;
  /** The body as text/plain; undefined where it is JSON or there is none. */
  readonly mime: Buffer | undefined;
  /** Faults that shape the answer. */
  readonly faults: readonly Fault[];
}

/** One whose path names a mailbox. */
export interface Call extends OpenCall {
  readonly mailbox: Mailbox;
}

export type Handler = (call: Call) => Reply;

/** The fault of this kind that the call was given, if any. */
export function faultOf<K extends FaultKind>(call: OpenCall, kind: K): Extract<Fault, { kind: K }> | undefined {
  return call.faults.find((fault): fault is Extract<Fault, { kind: K }> => fault.kind === kind);
}

/** The message that the path names. Throws GraphRefusal 404 or 400. */
export function itemOf(call: Call): Item {
  return call.mailbox.item(call.parameters['message-id'] ?? '');
}

/** How messages look in answers to changes: whole, with the kind of ids that was asked for. */
export function wholeView(call: Call): View {
  const { immutableIds, bodyType } = call.prefer;
  return { select: undefined, expand: [], immutableIds, ...(bodyType ? { bodyType } : {}) };
}

/** `@odata.context` of something in the mailbox. */
export function context(call: Call, path: string): string {
  return `${call.origin}/v1.0/$metadata#users('${encodeURIComponent(call.mailbox.userId)}')/${path}`;
}
