import { MemoryRows } from '../../../test/support/memory-rows.ts';
import type { StoredAccount } from '../../accounts/account-row.ts';
import { resolveAccount } from '../../accounts/rules.ts';
import type {
  Created,
  GraphMailbox,
  KnownSubscription,
  Subscriptions,
  SubscriptionWish,
} from '../../adapters/graph/subscriptions.ts';
import { StoreError } from '../../adapters/store.ts';
import type { Rows } from '../../platform/rows.ts';
import { Shutdown } from '../../platform/shutdown.ts';
import { SecretMissing, type SecretStore } from '../../secrets/secret-store.ts';
import type { PushContext } from './context.ts';
import { hearNotifications } from './hear.ts';
import { ImportGate } from './import-gate.ts';
import { NotificationKey } from './notification-key.ts';
import { Refusals } from './refusals.ts';
import type { PushSchedule } from './schedule.ts';
import { readSubscriptions, replaceRow, type SubscriptionRow } from './subscription-rows.ts';
import { tendSubscriptions } from './tend.ts';

/** What befalls a process at a moment: a call fails, before or after it was carried out, or never comes back. */
export type Fate = 'fails' | 'dies' | 'stops';

/** One process: its calls are counted, and its fate comes at one of them. */
export class Process {
  #calls = 0;
  readonly #at: number;
  readonly #fate: Fate;
  #goOn: (() => void) | undefined;
  #reached: (() => void) | undefined;
  /** Resolves when its moment has come. */
  readonly reached = new Promise<void>((resolve) => {
    this.#reached = resolve;
  });

  /** `at`: the moment, from 0; each call has one before it and one after it. */
  constructor(at = Number.POSITIVE_INFINITY, fate: Fate = 'fails') {
    this.#at = at;
    this.#fate = fate;
  }

  get moments(): number {
    return this.#calls;
  }

  /** One that was stopped goes on. */
  goOn(): void {
    this.#goOn?.();
  }

  /** A call, with a moment before and one after it. `lost`: what a failure is. */
  async call<T>(work: () => Promise<T>, lost: () => Error): Promise<T> {
    await this.#moment(lost);
    const result = await work();
    await this.#moment(lost);
    return result;
  }

  async #moment(lost: () => Error): Promise<void> {
    const isNow = this.#calls === this.#at;
    this.#calls += 1;
    if (!isNow) return;
    this.#reached?.();
    if (this.#fate === 'fails') throw lost();
    await new Promise<void>((resolve) => {
      if (this.#fate === 'stops') this.#goOn = resolve;
    });
  }
}

/** What the account signs in with, where a test says nothing else. */
export const appCredential = {
  type: 'clientSecret',
  tenantId: 'contoso.onmicrosoft.com',
  clientId: '66666666-7777-8888-9999-aaaaaaaaaaaa',
  secret: 'corpus-graph',
} as const;

/** The account, with push or without. `other`: how it signs in instead. */
export function accountWith(
  push: boolean,
  folders: readonly string[] = ['inbox'],
  other: Partial<GraphMailbox> = {},
): StoredAccount['account'] {
  const mailbox = { protocol: 'graph', userId: 'corpus@example.com', credential: appCredential, ...other };
  const store = { ...mailbox, push, folders };
  return resolveAccount('corpus', { from: 'corpus@example.com', transport: null, store }).account;
}

/** What Graph is asked for. */
export type GraphCall = 'open' | 'create' | 'renew' | 'remove' | 'list';

interface Made extends KnownSubscription {
  readonly clientState: string;
}

/** Storage, Graph and Key Vault in memory, an account with push, and a clock that a test moves. */
export class PushStage {
  now = 1_790_000_000_000;
  readonly rows = new MemoryRows(() => this.now);
  /** What Graph has. */
  readonly made = new Map<string, Made>();
  /** Imports that were queued, by the time. */
  readonly imports: number[] = [];
  /** Accounts whose subscriptions are to be looked after. */
  readonly looks: string[] = [];
  /** What Graph was asked, in order. */
  readonly asked: GraphCall[] = [];
  /** What fails, and with what. */
  readonly faults = new Map<GraphCall, Error>();
  /** Sessions with Graph that are open. */
  sessions = 0;
  readonly #secrets: string[] = [];
  account = accountWith(true);
  /** Whether Graph refuses a second one of the same folder at another address: its page and its users disagree. */
  readonly #refusesSecond: boolean;

  constructor(options: { readonly refusesSecond: boolean }) {
    this.#refusesSecond = options.refusesSecond;
  }

  /** Push as a process has it. */
  context(process: Process): PushContext {
    const clock = { now: () => this.now };
    const away = () => new Error('storage is away');
    const { rows: stored } = this;
    const rows: Rows = {
      get: (...args) => process.call(() => stored.get(...args), away),
      range: (...args) => through(process, () => stored.range(...args)),
      prefix: (...args) => through(process, () => stored.prefix(...args)),
      write: (...args) => process.call(() => stored.write(...args), away),
      writeSoon: (partition, writes) => stored.writeSoon(partition, writes),
      endWaiting: (...args) => stored.endWaiting(...args),
      writeAll: (...args) => stored.writeAll(...args),
      deleteEach: (...args) => stored.deleteEach(...args),
    };
    const enqueueImport = () => process.call(async () => void this.imports.push(this.now), away);
    const account: StoredAccount = {
      ...{ account: this.account, etag: '"1"', createdAt: 0 },
      ...{ sinceAt: undefined, sinceId: undefined, queuedAt: undefined, fromStart: true },
    };
    return {
      ...{ clock, rows, enqueueImport, publicUrl: 'https://mail.example.com' },
      key: new NotificationKey(this.#vault(), clock),
      imports: new ImportGate({ clock, rows, enqueue: enqueueImport }),
      refusals: new Refusals(clock),
      shutdown: new Shutdown(),
      account: async () => account,
      accounts: async () => [account],
      enqueue: async (name) => void this.looks.push(name),
      open: async () => {
        this.#note('open');
        this.sessions += 1;
        return this.#graph(process);
      },
    };
  }

  /** The minute's timer, and what it queues, in a process to which nothing happens. Time passes before. */
  async minutes(count: number, schedule: PushSchedule): Promise<void> {
    for (let minute = 0; minute < count; minute += 1) {
      this.now += 60_000;
      await schedule.run({ signal });
      for (const name of new Set(this.looks.splice(0)))
        await tendSubscriptions(this.context(new Process()), name, { signal });
    }
  }

  /** Graph tells of a mail: each subscription does. */
  async mailComes(): Promise<void> {
    const value = [...this.made.values()].map(({ id, clientState }) => ({ subscriptionId: id, clientState }));
    await hearNotifications(this.context(new Process()), { value }, { signal });
  }

  /** The subscription that is noted. */
  async row(): Promise<SubscriptionRow> {
    const [found] = await readSubscriptions(this, 'corpus', { signal });
    if (!found) throw new Error('No subscription is noted');
    return found;
  }

  /** Changes what is noted of the subscription, as another process does. */
  async change(changes: Parameters<typeof replaceRow>[2]): Promise<void> {
    if (!(await replaceRow(this, await this.row(), changes))) throw new Error('The row has changed meanwhile');
  }

  #vault(): Pick<SecretStore, 'recent' | 'set'> {
    return {
      recent: async (name) => {
        if (this.#secrets.length === 0) throw new SecretMissing(name, 'is not in Key Vault');
        return this.#secrets.map((value) => ({ value, tags: {} }));
      },
      set: async (name, value) => {
        this.#secrets.unshift(value);
        return { name, version: '', expiresAt: null };
      },
    };
  }

  #graph(process: Process): Subscriptions {
    const lost = () => new StoreError('connection', 'no answer');
    const { made } = this;
    for (const { id, expiresAt } of made.values()) if (expiresAt <= this.now) made.delete(id);
    return {
      create: (wish) => process.call(async () => this.#create(wish), lost),
      renew: (id, expiresAt) =>
        process.call(async () => {
          this.#note('renew');
          const known = made.get(id);
          if (!known) return undefined;
          made.set(id, { ...known, expiresAt });
          return { ...known, expiresAt };
        }, lost),
      remove: (id) =>
        process.call(async () => {
          this.#note('remove');
          made.delete(id);
        }, lost),
      list: () =>
        process.call(async () => {
          this.#note('list');
          return [...made.values()];
        }, lost),
      close: () => {
        this.sessions -= 1;
      },
    };
  }

  #note(call: GraphCall): void {
    this.asked.push(call);
    const fault = this.faults.get(call);
    if (fault) throw fault;
  }

  #create({ folder, notificationUrl, clientState, expiresAt }: SubscriptionWish): Created {
    this.#note('create');
    const resource = `users/corpus@example.com/mailFolders('${folder}')/messages`;
    const isSame = (each: Made) => this.#refusesSecond || each.notificationUrl === notificationUrl;
    if ([...this.made.values()].some(isSame)) return { kind: 'exists', resource };
    const subscription = { id: crypto.randomUUID(), notificationUrl, resource, expiresAt };
    this.made.set(subscription.id, { ...subscription, clientState });
    return { kind: 'created', subscription };
  }
}

/** Longer than any test. */
export const signal: AbortSignal = new AbortController().signal;

async function* through<T>(process: Process, read: () => AsyncGenerator<T>): AsyncGenerator<T> {
  const all: T[] = [];
  const readAll = async () => {
    for await (const each of read()) all.push(each);
  };
  await process.call(readAll, () => new Error('storage is away'));
  yield* all;
}
