import { MemoryBlobs } from '../../test/support/memory-blobs.ts';
import { MemoryRows } from '../../test/support/memory-rows.ts';
import type { StoredAccount } from '../accounts/account-row.ts';
import { AccountHealth } from '../accounts/health.ts';
import { resolveAccount } from '../accounts/rules.ts';
import type { MailContent } from '../adapters/mail-content.ts';
import type {
  ChangePage,
  Checkpoint,
  Disposal,
  DisposalOutcome,
  DisposalTarget,
  FetchedMail,
  ListedMail,
  MailStore,
  OpenOptions,
  StoreSession,
} from '../adapters/store.ts';
import type { MailroomEvent } from '../events/events.ts';
import { Shutdown } from '../platform/shutdown.ts';
import { DayCounts } from '../stats/day-counts.ts';
import type { InboxContext } from './context.ts';
import { runImport } from './importing/run.ts';
import type { Run } from './ledger/runs.ts';
import { readTurn } from './session/turn-row.ts';

/** A mail of a `FakeStore`. */
export interface FakeMail {
  readonly item: string;
  readonly bytes: Buffer;
  readonly receivedAt: number;
}

/** A small mail with a Message-ID of its own. */
export function fakeMail(n: number): FakeMail {
  const text = `From: a@example.net\r\nSubject: Mail ${n}\r\nMessage-ID: <${n}@example.net>\r\n\r\nText of ${n}\r\n`;
  return { item: String(n).padStart(10, '0'), bytes: Buffer.from(text), receivedAt: 1_790_000_000_000 + n * 1_000 };
}

/**
 * A mailbox in memory: one folder whose items sort by arrival. A test says what the server does otherwise by replacing
 * `content`, `outcome` or `failure`.
 */
export class FakeStore implements MailStore {
  readonly protocol = 'imap';
  readonly identity = 'imap:fake';
  abilities = { markRead: true, stableBytes: true, lastingIds: true };
  scopeName = 'INBOX;7';
  mails: FakeMail[] = [];
  /** Originals that were disposed of, in order: `{action} {item}`. */
  readonly disposed: string[] = [];
  sessions = 0;
  /** What a fetch brings instead of the mail; undefined: the mail. */
  content: (mail: FakeMail) => MailContent | undefined = () => undefined;
  /** What becomes of an original; undefined: it is done. May throw, as a lost connection does. */
  outcome: (item: string, disposal: Disposal) => DisposalOutcome | undefined = () => undefined;
  /** Looks at each original that is to be disposed of. */
  onDispose: (target: DisposalTarget) => void = () => undefined;
  /** Throws where a checkpoint is no longer good. */
  resync: () => void = () => undefined;
  /** Throws what a folder's listing throws. */
  failure: (folder: string) => void = () => undefined;

  #listed(folder: string): ListedMail[] {
    this.failure(folder);
    return this.mails.map(({ item, bytes, receivedAt }) => ({
      source: { store: this.identity, scope: this.scopeName, item },
      folder,
      size: bytes.length,
      receivedAt,
      messageId: /Message-ID: (\S+)/.exec(bytes.toString())?.[1] ?? '',
    }));
  }

  async verify() {
    return [];
  }

  async open({ admitted }: Pick<OpenOptions, 'admitted'> = {}): Promise<StoreSession> {
    await admitted;
    this.sessions += 1;
    const listed = (folder: string) => this.#listed(folder);
    const resync = () => this.resync();
    const byItem = (item: string) => this.mails.find((mail) => mail.item === item);
    const fetched = (mail: ListedMail): MailContent => {
      const there = byItem(mail.source.item);
      return there ? (this.content(there) ?? { kind: 'bytes', bytes: there.bytes }) : { kind: 'gone' };
    };
    return {
      scope: async (folder) => {
        listed(folder);
        return this.scopeName;
      },
      changes: async function* (folder, checkpoint, { pageSize }): AsyncGenerator<ChangePage> {
        if (checkpoint) resync();
        const seen = checkpoint?.scope === listed(folder)[0]?.source.scope ? String(checkpoint?.item ?? '') : '';
        const fresh = listed(folder).filter(({ source }) => source.item > seen);
        let last: Checkpoint = checkpoint ?? {};
        for (let at = 0; at < fresh.length || at === 0; at += pageSize) {
          const mails = fresh.slice(at, at + pageSize);
          const end = mails.at(-1)?.source;
          last = end ? { scope: end.scope, item: end.item } : last;
          yield { mails, checkpoint: last, remaining: fresh.length - at - mails.length };
        }
      },
      list: async function* (folder) {
        yield listed(folder);
      },
      folders: async (selected) => selected.map((name) => ({ name, total: listed(name).length, selected: true })),
      stillListed: async (mails) => new Set(mails.filter(({ source }) => byItem(source.item) !== undefined)),
      fetch: async function* (mails, { asked }): AsyncGenerator<FetchedMail> {
        asked?.();
        for (const mail of mails) yield { mail, content: fetched(mail) };
      },
      dispose: async (targets, disposal) => targets.map((target) => this.#dispose(target, disposal)),
      close: async () => undefined,
    };
  }

  #dispose(target: DisposalTarget, disposal: Disposal): DisposalOutcome {
    const { source } = target;
    this.onDispose(target);
    const outcome = this.outcome(source.item, disposal);
    if (outcome !== undefined) return outcome;
    if (!this.mails.some(({ item }) => item === source.item)) return 'gone';
    this.disposed.push(`${disposal.action} ${source.item}`);
    if (disposal.action !== 'markRead') this.mails = this.mails.filter(({ item }) => item !== source.item);
    return 'done';
  }
}

/** An inbox whose rows and blobs are in memory, and whose clock stands until it is moved. */
export class TestInbox {
  readonly store = new FakeStore();
  readonly events: MailroomEvent[] = [];
  readonly queued: string[] = [];
  readonly rows: MemoryRows;
  readonly assets = new MemoryBlobs();
  readonly quarantine = new MemoryBlobs();
  readonly context: InboxContext;
  now = 1_800_000_000_000;
  account: StoredAccount;
  static #count = 0;

  /** `rule`: the account's `import`; `folders`: default INBOX. */
  constructor(rule: Readonly<Record<string, unknown>> = {}, folders: readonly string[] = ['INBOX']) {
    TestInbox.#count += 1;
    const clock = { now: () => this.now };
    this.rows = new MemoryRows(clock.now);
    this.account = stored(`test${TestInbox.#count}`, rule, folders);
    const events = {
      publish: async (event: MailroomEvent) => {
        this.events.push(event);
      },
    };
    this.context = {
      clock,
      rows: this.rows,
      dayCounts: new DayCounts(this.rows),
      assets: async () => this.assets.client,
      quarantine: async () => this.quarantine.client,
      enqueue: async (account) => {
        this.queued.push(account);
      },
      account: async () => this.account,
      accounts: async () => [this.account],
      noteQueued: async (_, queuedAt) => {
        this.account = { ...this.account, queuedAt };
      },
      accountNames: async () => [this.name],
      store: async () => this.store,
      events,
      bounces: { find: async () => undefined, mark: async () => true },
      health: new AccountHealth(this.rows, events, clock),
      shutdown: new Shutdown(),
      // Of real time: a machine that stands still is no end of a run.
      budgetMs: 24 * 3_600_000,
    };
  }

  get name(): string {
    return this.account.account.name;
  }

  /** The account's rule from now on. */
  set rule(rule: Readonly<Record<string, unknown>>) {
    this.account = stored(this.name, rule, ['INBOX']);
  }

  /** Rows with a prefix, in order. */
  async rowsOf(prefix: string) {
    const rows = [];
    for await (const row of this.rows.prefix(this.name, prefix)) rows.push(row);
    return rows;
  }

  /** Types of the events so far. */
  eventTypes(): string[] {
    return this.events.map(({ type }) => type);
  }
}

function stored(name: string, rule: Readonly<Record<string, unknown>>, folders: readonly string[]): StoredAccount {
  const auth = { type: 'password', user: 'test', secret: `${name}-imap` };
  const store = { protocol: 'imap', host: 'mail.example.com', auth, folders };
  const { account } = resolveAccount(name, {
    from: 'test@example.com',
    store,
    import: { schedule: null, markRead: false, ...rule },
  });
  return {
    account,
    sinceAt: undefined,
    sinceId: undefined,
    createdAt: 0,
    queuedAt: undefined,
    fromStart: true,
    etag: '"1"',
  };
}

/** Imports once, a second later, and answers the run. */
export async function importOnce(inbox: TestInbox): Promise<Run> {
  inbox.now += 1_000;
  await runImport(inbox.context, inbox.name, {});
  const { last } = await readTurn(inbox.context, inbox.name);
  if (!last) throw new Error('no run');
  return last;
}

/** What a session does otherwise. */
export function changeSession(inbox: TestInbox, change: (session: StoreSession) => Partial<StoreSession>): void {
  const open = inbox.store.open.bind(inbox.store);
  inbox.store.open = async (options) => {
    const session = await open(options);
    return { ...session, ...change(session) };
  };
}
