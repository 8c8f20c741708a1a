import { AccountHealth } from '../../shared/accounts/health.ts';
import { type Account, resolveAccount } from '../../shared/accounts/rules.ts';
import type {
  FrozenMail,
  MailTransport,
  Receipt,
  ResolveOptions,
  SendOptions,
} from '../../shared/adapters/transport.ts';
import type { MailroomEvent } from '../../shared/events/events.ts';
import { acceptedCopy } from '../../shared/outbox/accepted-copy.ts';
import { BacklogLimit } from '../../shared/outbox/accepting/backlog-limit.ts';
import type { OutboxContext, SendRate } from '../../shared/outbox/context.ts';
import { RequeueSchedule } from '../../shared/outbox/delivering/requeue-schedule.ts';
import { usualWaits } from '../../shared/outbox/delivering/retry.ts';
import { WorkerQuota } from '../../shared/outbox/delivering/worker-quota.ts';
import { indexKeys, indexRow } from '../../shared/outbox/finding/index-rows.ts';
import { mimePath, openKey, recordKey } from '../../shared/outbox/keys.ts';
import { OpenAccounts } from '../../shared/outbox/open-accounts.ts';
import { type MessageRecord, recordColumns, recordId, recordOf } from '../../shared/outbox/record.ts';
import { newestFirstId } from '../../shared/platform/ids.ts';
import { Shutdown } from '../../shared/platform/shutdown.ts';
import { DayCounts } from '../../shared/stats/day-counts.ts';
import { MemoryBlobs } from './memory-blobs.ts';
import { MemoryRows } from './memory-rows.ts';

export const accountName = 'corpus';
export const mailText = 'From: corpus@example.com\r\n\r\nHello\r\n';

/** A transport that answers what a test says. By default it commits and accepts every recipient. */
export class FakeTransport implements MailTransport {
  readonly protocol = 'fake';
  /** Mails it was given, with the recipients of each. */
  readonly sent: FrozenMail[] = [];
  onSend: (mail: FrozenMail, options: SendOptions) => Promise<Receipt> = async (mail, options) => {
    await options.beforeCommit();
    return accepted(mail);
  };
  /** Set, the transport can find out about lost answers. */
  resolveUncertain?: (mail: FrozenMail, options: ResolveOptions) => Promise<Receipt | undefined>;

  async send(mail: FrozenMail, options: SendOptions): Promise<Receipt> {
    this.sent.push(mail);
    return await this.onSend(mail, options);
  }

  async verify() {
    return [];
  }

  async close() {}
}

export function accepted(mail: FrozenMail): Receipt {
  return { recipients: mail.envelope.to.map((address) => ({ address, outcome: 'accepted', code: '250' })) };
}

export interface Queued {
  readonly kind: 'mail' | 'copy' | 'release';
  /** Of a message, or the account to be released. */
  readonly id: string;
  readonly delayMs: number;
  readonly accepted?: string;
}

/** Sending without storage and servers: rows and the queue in memory, a clock that stands still, a fake transport. */
export class MemoryOutbox {
  now = Date.UTC(2026, 5, 1);
  readonly rows = new MemoryRows(() => this.now);
  readonly queue: Queued[] = [];
  readonly events: MailroomEvent[] = [];
  readonly transport = new FakeTransport();
  readonly sentCopies = new FakeTransport();
  readonly shutdown = new Shutdown();
  readonly workers = new WorkerQuota();
  readonly accounts = new Map<string, Account>();
  /** The account's limit of mails in a minute, where a test sets one. */
  rate: SendRate | undefined;
  readonly blobs = new MemoryBlobs();
  readonly open: OpenAccounts;
  readonly context: OutboxContext;

  constructor() {
    const clock = { now: () => this.now };
    this.open = new OpenAccounts(this.rows, clock);
    const events = { publish: async (event: MailroomEvent) => void this.events.push(event) };
    const enqueue = (kind: Queued['kind']) => async (id: string, delayMs: number, as?: string) =>
      void this.queue.push({ kind, id, delayMs, ...(as === undefined ? {} : { accepted: as }) });
    this.account({});
    this.context = {
      clock,
      rows: this.rows,
      dayCounts: new DayCounts(this.rows),
      mime: async () => this.blobs.client,
      uploads: async () => {
        throw new Error('Uploads need a storage');
      },
      enqueue: enqueue('mail'),
      enqueueCopy: enqueue('copy'),
      enqueueRelease: enqueue('release'),
      account: async (name) => this.accounts.get(name),
      accountNames: async () => [...this.accounts.keys()],
      transport: async (account) => (account.transport ? this.transport : undefined),
      sentCopies: async () => this.sentCopies,
      rate: () => this.rate,
      open: this.open,
      workers: this.workers,
      schedule: new RequeueSchedule(clock),
      retryWaits: usualWaits,
      backlog: new BacklogLimit(this.rows, clock, { max: undefined, withinMs: 0 }),
      shutdown: this.shutdown,
      events,
      health: new AccountHealth(this.rows, events, clock),
    };
  }

  /** Makes or changes the account that mail is sent by. */
  account(fields: { readonly enabled?: boolean; readonly saveToSent?: boolean; readonly name?: string }): void {
    const { enabled = true, saveToSent = false, name = accountName } = fields;
    const { account } = resolveAccount(name, {
      from: 'corpus@example.com',
      transport: { protocol: 'smtp', host: 'mail.example.com', saveToSent },
      store: { protocol: 'imap', host: 'mail.example.com', auth: { type: 'none' } },
      enabled,
    });
    this.accounts.set(name, account);
  }

  /** Puts an accepted message there, as `accept` leaves it. Answers its id. */
  async accept(fields: Partial<MessageRecord> = {}): Promise<string> {
    const record: MessageRecord = {
      account: accountName,
      localId: newestFirstId(this.now),
      status: 'queued',
      messageId: '<m@example.com>',
      createdAt: new Date(this.now).toISOString(),
      envelope: { from: 'corpus@example.com' },
      headerFrom: 'corpus@example.com',
      bcc: [],
      size: mailText.length,
      recipients: [{ address: 'anna@example.org', status: 'pending' }],
      attempts: [],
      ...fields,
    };
    await this.open.note(record.account);
    const metadata = acceptedCopy({ ...record, size: 0 });
    this.blobs.put(mimePath(record.account, record.localId), mailText, metadata);
    await this.rows.write(record.account, [
      { kind: 'insert', key: recordKey(record.localId), columns: recordColumns(record) },
      { kind: 'insert', key: openKey(record.localId), columns: { checkAt: this.now, waitMs: 0 } },
      ...indexKeys(record).map(indexRow),
    ]);
    return recordId(record);
  }

  async record(id: string): Promise<MessageRecord> {
    const [account = '', localId = ''] = id.split('.');
    const row = await this.rows.get(account, recordKey(localId));
    if (!row) throw new Error(`no record of ${id}`);
    return recordOf(account, row);
  }

  /** Etag of the record of a message as it is now. */
  async etag(id: string): Promise<string> {
    const [account = '', localId = ''] = id.split('.');
    return (await this.rows.get(account, recordKey(localId)))?.etag ?? '';
  }

  /** Whether the message still has its row among the open ones. */
  isOpen(id: string): boolean {
    const [account = '', localId = ''] = id.split('.');
    return this.rows.keys(account).includes(openKey(localId));
  }

  /** What the queue was given since the last call. */
  queued(): readonly Queued[] {
    return this.queue.splice(0);
  }
}
