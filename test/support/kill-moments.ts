import type { StorageRequest, StorageService } from './storage-gate.ts';

/** A request of one account's send to storage. */
export interface StorageMoment {
  readonly at: 'before' | 'after';
  readonly service: StorageService;
  readonly method?: string;
  /** In its path or body. */
  readonly text: string;
  /** The first such request by default. */
  readonly nth?: number;
}

/** A state of a send in which the process is killed, and what must come of it. */
export interface KillMoment {
  readonly when: string;
  /** Where the process is caught: at a request to storage, or by a server that falls silent at a step. */
  readonly caught: { readonly storage: StorageMoment } | { readonly smtp: string };
  /** The caller waits for the outcome, so that the delivery runs in the request. */
  readonly wait?: boolean;
  /** No answer reaches the caller, who asks again with the same key. */
  readonly unanswered?: boolean;
  /** The first attempt is refused for now. */
  readonly putOff?: boolean;
  /** Characters of text. Mail above a mebibyte is read from storage in pieces of 4 MiB. */
  readonly size?: number;
  /** Some of the text had left by then. */
  readonly begun?: boolean;
  readonly ends: 'sent' | 'uncertain';
  /** How often the server gets the whole mail. */
  readonly copies: 0 | 1;
  readonly attempts: readonly string[];
  /** The first attempt is noted as interrupted where its claim was durable by then: it is, after a second of sending. */
  readonly claimedAfterASecond?: boolean;
}

const before = (service: StorageService, text: string) => ({ storage: { at: 'before', service, text } }) as const;
const after = (service: StorageService, text: string) => ({ storage: { at: 'after', service, text } }) as const;

/** Parts of the writes that lead from one state to the next. */
const recordWrite = ['table', '"status":"queued"'] as const;
const claimWrite = ['table', '"status":"sending"'] as const;
const commitWrite = ['table', '"committing":true'] as const;
const receiptWrite = ['table', '"status":"sent"'] as const;
const queuePut = ['queue', '/mail-send/messages'] as const;
const eventPut = ['queue', '/mail-events/messages'] as const;
const firstPiece = { at: 'before', service: 'blob', method: 'GET', text: '/outbox/' } as const;
const secondPiece = { at: 'before', service: 'blob', method: 'GET', text: '/outbox/', nth: 2 } as const;

const sentImmediately = { ends: 'sent', copies: 1, attempts: ['sent'] } as const;
const sentAgain = { ends: 'sent', copies: 1, attempts: ['interrupted', 'sent'] } as const;
const inDoubt = { ends: 'uncertain', attempts: ['uncertain'] } as const;

/** Every state of a send, in order (design section 4). */
export const killMoments: readonly KillMoment[] = [
  {
    when: 'the text is stored, the record is not',
    caught: before(...recordWrite),
    unanswered: true,
    ...sentImmediately,
  },
  { when: 'the record is durable, nobody knows', caught: after(...recordWrite), unanswered: true, ...sentImmediately },
  { when: 'accepted, not yet queued', caught: before(...queuePut), unanswered: true, ...sentImmediately },
  { when: 'queued, its text not read', caught: { storage: firstPiece }, ...sentImmediately },
  {
    when: 'accepted, the caller waits, not yet claimed',
    caught: before(...claimWrite),
    wait: true,
    unanswered: true,
    ...sentImmediately,
  },
  {
    when: 'claimed, not yet connected, the caller waits',
    caught: after(...claimWrite),
    wait: true,
    unanswered: true,
    ...sentAgain,
  },
  { when: 'connected, not yet greeted', caught: { smtp: 'GREETING' }, ...sentAgain },
  { when: 'the sender is offered', caught: { smtp: 'MAIL' }, ...sentAgain },
  {
    when: 'the sender is offered, the caller waits',
    caught: { smtp: 'MAIL' },
    wait: true,
    unanswered: true,
    ...sentAgain,
  },
  { when: 'the recipient is offered', caught: { smtp: 'RCPT' }, ...sentAgain },
  { when: 'DATA is said, not answered', caught: { smtp: 'DATA' }, ...sentAgain },
  { when: 'most of the text has left', caught: { storage: secondPiece }, size: 5_000_000, begun: true, ...sentAgain },
  {
    when: 'all but the last bytes have left, committing is not durable',
    caught: before(...commitWrite),
    begun: true,
    claimedAfterASecond: true,
    ...sentImmediately,
  },
  {
    when: 'all but the last bytes have left, committing is not durable, the caller waits',
    caught: before(...commitWrite),
    wait: true,
    unanswered: true,
    begun: true,
    ...sentAgain,
  },
  {
    when: 'committing is durable, the last bytes have not left',
    caught: after(...commitWrite),
    begun: true,
    copies: 0,
    ...inDoubt,
  },
  { when: 'the dot has left, no answer came', caught: { smtp: 'END' }, copies: 1, ...inDoubt },
  { when: 'the server said yes, the receipt is not written', caught: before(...receiptWrite), copies: 1, ...inDoubt },
  { when: 'the receipt is durable, nobody knows', caught: after(...receiptWrite), ...sentImmediately },
  { when: 'the receipt is written, the event is not put', caught: before(...eventPut), ...sentImmediately },
  { when: 'the event is put, the row of open messages is not removed', caught: after(...eventPut), ...sentImmediately },
  {
    when: 'put off, the next attempt is not queued',
    caught: { storage: { at: 'before', service: 'queue', text: '/mail-send/messages', nth: 2 } },
    putOff: true,
    ends: 'sent',
    copies: 1,
    attempts: ['deferred', 'sent'],
  },
];

/** Whether a request is the one a moment names. Counts, so each account needs its own. */
export function catcher(account: string, moment: StorageMoment): (request: StorageRequest) => boolean {
  // Ids begin with the account and a dot, rows name it in quotes, blobs lie in a folder of its name.
  const names = [`${account}.`, `'${account}'`, `"${account}"`, `/${account}/`];
  let seen = 0;
  return ({ service, method, path, body }) => {
    const text = `${path}\n${body}`;
    if (service !== moment.service || (moment.method ?? method) !== method) return false;
    if (!text.includes(moment.text) || !names.some((name) => text.includes(name))) return false;
    seen += 1;
    return seen === (moment.nth ?? 1);
  };
}
