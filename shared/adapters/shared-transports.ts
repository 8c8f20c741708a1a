import type { Account } from '../accounts/rules.ts';
import { type ConnectionSlots, verifyWithSlot } from './connection-slots.ts';
import { dialogueOf } from './dialogue.ts';
import type { CloudOverrides } from './entra/place.ts';
import type { ReadSecret } from './secret-value.ts';
import type { MailTransport } from './transport.ts';

/** Transports kept per process; beyond it the one used longest ago is closed. */
const maxTransports = 200;

/** A transport that an edited account no longer uses is closed after this: sends under way are let through. */
const drainMs = 120_000;

/** Copies are no hurry, and the store's imports need connections too. */
const maxSentConnections = 2;

type ImapStoreConfig = Extract<NonNullable<Account['store']>, { protocol: 'imap' | 'imaps' }>;

export interface SharedTransports {
  /** The account's transport as it is configured now; undefined where the account has none. */
  get(account: Account): Promise<MailTransport | undefined>;
  /** What appends to the \Sent folder of the account's store; undefined where that is not on IMAP. */
  sent(account: Account): Promise<MailTransport | undefined>;
}

/**
 * One transport per account and process, so that connections survive between invocations. `overrides`: where Graph and
 * Entra ID are, if not where an account's cloud has them. `slots`: the places that an account has for connections.
 */
export function sharedTransports(
  secret: ReadSecret,
  overrides: CloudOverrides,
  slotsOf: (account: Account, end: NonNullable<Account['transport'] | Account['store']>) => ConnectionSlots,
): SharedTransports {
  const known = new Map<string, { config: string; transport: Promise<MailTransport> }>();

  const retire = (transport: Promise<MailTransport>) => {
    setTimeout(() => {
      transport.then((each) => each.close()).catch(() => undefined);
    }, drainMs).unref();
  };

  const create = async (
    account: Account & { transport: NonNullable<Account['transport']> },
  ): Promise<MailTransport> => {
    const slots = slotsOf(account, account.transport);
    return verifiedWith(slots, await createFor(account, slots));
  };

  const createFor = async (
    account: Account & { transport: NonNullable<Account['transport']> },
    slots: ConnectionSlots,
  ): Promise<MailTransport> => {
    const { transport, limits } = account;
    const context = {
      secret,
      overrides,
      maxConnections: limits.connections,
      slots,
      ...dialogueOf(account, transport.protocol),
    };
    if (transport.protocol === 'graph') {
      const { createGraphTransport } = await import('./graph/graph-transport.ts');
      return createGraphTransport(transport, context);
    }
    if (transport.protocol === 'imap' || transport.protocol === 'imaps') {
      const { createImapTransport, newMailIn } = await import('./imap/imap-transport.ts');
      return createImapTransport(transport, context, newMailIn(transport.folder));
    }
    const { createSmtpTransport } = await import('./smtp/smtp-transport.ts');
    return createSmtpTransport(transport, context);
  };

  const createSent = async (account: Account, store: ImapStoreConfig) => {
    const maxConnections = Math.min(account.limits.connections, maxSentConnections);
    const slots = slotsOf(account, store);
    const { createImapTransport, sentMail } = await import('./imap/imap-transport.ts');
    const context = { secret, overrides, maxConnections, slots, ...dialogueOf(account, store.protocol) };
    return verifiedWith(slots, createImapTransport(store, context, sentMail));
  };

  /** The transport under `name`, made anew where `config` is another than it was. */
  const shared = async (name: string, config: string, make: () => Promise<MailTransport>) => {
    const before = known.get(name);
    known.delete(name);
    if (before?.config === config) {
      known.set(name, before);
      return await before.transport;
    }
    if (before) {
      retire(before.transport);
    }
    const made = make();
    known.set(name, { config, transport: made });
    made.catch(() => known.delete(name));
    const oldest = known.entries().next().value;
    if (known.size > maxTransports && oldest) {
      known.delete(oldest[0]);
      retire(oldest[1].transport);
    }
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
  };
}

/** Its verification opens a connection of its own, with a place for it. */
function verifiedWith(slots: ConnectionSlots, made: MailTransport): MailTransport {
  return { ...made, verify: ({ signal }) => verifyWithSlot(slots, signal, () => made.verify({ signal })) };
}
