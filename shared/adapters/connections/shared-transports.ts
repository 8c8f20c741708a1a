import type { Endpoint } from '../../accounts/destinations.ts';
import type { Account } from '../../accounts/rules.ts';
import type { ConnectionSlots } from '../../limits/connection-slots.ts';
import { LruMap } from '../../platform/lru-map.ts';
import { dialogueOf } from '../dialogue.ts';
import type { MailTransport } from '../transport.ts';
import { verifyWithSlot } from './connection-slots.ts';
import type { ServerContext } from './server-context.ts';

/** Transports kept per process; beyond it the one used longest ago is closed. */
const maxTransports = 200;

/** A transport that an edited account no longer uses is closed after this: sends under way are let through. */
const drainMs = 120_000;

/** Copies are no hurry, and the store's imports need connections too. */
const maxSentConnections = 2;

type ImapStoreConfig = Extract<NonNullable<Account['store']>, { protocol: 'imap' | 'imaps' }>;

/** The transports of all accounts in this process. */
export interface SharedTransports {
  /** The account's transport as it is configured now; undefined where the account has none. */
  get(account: Account): Promise<MailTransport | undefined>;
  /** What appends to the \Sent folder of the account's store; undefined where that is not on IMAP. */
  sent(account: Account): Promise<MailTransport | undefined>;
  /** Closes all of them, with their connections: the process is to end. Sends under way are cut. */
  close(): Promise<void>;
}

/** What one endpoint of an account asks of the service. */
export interface EndContext extends Omit<ServerContext, 'dialogue'> {
  /** The slots that the account has for connections. */
  readonly slots: ConnectionSlots;
}

/** One transport per account and process, so that connections survive between invocations. */
export function sharedTransports(contextOf: (account: Account, endpoint: Endpoint) => EndContext): SharedTransports {
  const retire = (transport: Promise<MailTransport>) => {
    setTimeout(() => {
      transport.then((each) => each.close()).catch(() => undefined);
    }, drainMs).unref();
  };

  const known = new LruMap<string, { readonly config: string; readonly transport: Promise<MailTransport> }>({
    max: maxTransports,
    evicted: ({ transport }) => retire(transport),
  });

  const create = async (
    account: Account & { transport: NonNullable<Account['transport']> },
  ): Promise<MailTransport> => {
    const { transport } = account;
    if (transport.protocol === 'sink') {
      const { createSinkTransport } = await import('../sink/sink-transport.ts');
      return createSinkTransport();
    }
    const given = contextOf(account, transport);
    return verifiedWith(given.slots, await createFor({ ...account, transport }, given));
  };

  const createFor = async (
    account: Account & { transport: Exclude<NonNullable<Account['transport']>, { protocol: 'sink' }> },
    given: EndContext,
  ): Promise<MailTransport> => {
    const { transport, limits } = account;
    const context = {
      ...given,
      maxConnections: limits.connections,
      ...dialogueOf(account, transport.protocol),
    };
    if (transport.protocol === 'graph') {
      const { createGraphTransport } = await import('../graph/send/graph-transport.ts');
      return createGraphTransport(transport, context);
    }
    if (transport.protocol === 'imap' || transport.protocol === 'imaps') {
      const { createImapTransport, newMailIn } = await import('../imap/append/imap-transport.ts');
      return createImapTransport(transport, context, newMailIn(transport.folder));
    }
    const { createSmtpTransport } = await import('../smtp/smtp-transport.ts');
    return createSmtpTransport(transport, context);
  };

  const createSent = async (account: Account, store: ImapStoreConfig) => {
    const maxConnections = Math.min(account.limits.connections, maxSentConnections);
    const given = contextOf(account, store);
    const { createImapTransport, sentMail } = await import('../imap/append/imap-transport.ts');
    const context = { ...given, maxConnections, ...dialogueOf(account, store.protocol) };
    return verifiedWith(given.slots, createImapTransport(store, context, sentMail));
  };

  /** The transport under `name`; a new one where `config` has changed. */
  const shared = async (name: string, config: string, make: () => Promise<MailTransport>) => {
    const before = known.get(name);
    if (before?.config === config) {
      return await before.transport;
    }
    if (before) {
      retire(before.transport);
    }
    const made = make();
    known.set(name, { config, transport: made });
    made.catch(() => known.delete(name));
    return await made;
  };

  return {
    async get(account) {
      const { transport, limits, name, debug } = account;
      return (
        transport &&
        (await shared(name, JSON.stringify([transport, limits, debug]), () => create({ ...account, transport })))
      );
    },
    async sent(account) {
      const { store, limits, name, debug } = account;
      if (store?.protocol !== 'imap' && store?.protocol !== 'imaps') {
        return undefined;
      }
      // No account's name has a slash.
      const make = () => createSent(account, store);
      return await shared(`${name}/sent`, JSON.stringify([store, limits, debug]), make);
    },
    async close() {
      const all = [...known.values()];
      known.clear();
      await Promise.allSettled(all.map(async ({ transport }) => (await transport).close()));
    },
  };
}

/** Its verification opens a connection of its own, with a slot for it. */
function verifiedWith(slots: ConnectionSlots, made: MailTransport): MailTransport {
  return { ...made, verify: (options) => verifyWithSlot(slots, options.signal, () => made.verify(options)) };
}
