import type { Account } from '../accounts/rules.ts';
import type { ConnectionSlots } from './connection-slots.ts';
import type { GraphOverrides } from './graph/cloud.ts';
import type { MailTransport } from './transport.ts';

/** Transports kept per process; beyond it the one used longest ago is closed. */
const maxTransports = 200;

/** A transport that an edited account no longer uses is closed after this: sends under way are let through. */
const drainMs = 120_000;

export interface SharedTransports {
  /** The account's transport as it is configured now; undefined where the account has none. */
  get(account: Account): Promise<MailTransport | undefined>;
}

/**
 * One transport per account and process, so that connections survive between invocations. `graph`: where Graph and its
 * sign-in are, if not where an account's cloud has them. `slots`: the places that an account has for connections.
 */
export function sharedTransports(
  secret: (name: string, signal: AbortSignal) => Promise<string>,
  graph: GraphOverrides,
  slotsOf: (account: Account, transport: NonNullable<Account['transport']>) => ConnectionSlots,
): SharedTransports {
  const known = new Map<string, { config: string; transport: Promise<MailTransport> }>();

  const retire = (transport: Promise<MailTransport>) => {
    setTimeout(() => {
      transport.then((each) => each.close()).catch(() => undefined);
    }, drainMs).unref();
  };

  const create = async (account: Account & { transport: NonNullable<Account['transport']> }) => {
    const { transport, limits } = account;
    const maxConnections = limits.connections;
    const slots = slotsOf(account, transport);
    if (transport.protocol === 'graph') {
      const { createGraphTransport } = await import('./graph/graph-transport.ts');
      return createGraphTransport(transport, { secret, maxConnections, slots, graph });
    }
    if (transport.protocol === 'imap' || transport.protocol === 'imaps') {
      throw new Error(`${transport.protocol} as a transport is not there yet`);
    }
    const { createSmtpTransport } = await import('./smtp/smtp-transport.ts');
    return createSmtpTransport(transport, { secret, maxConnections, slots });
  };

  return {
    async get(account) {
      const { transport, limits, name } = account;
      if (!transport) {
        return undefined;
      }
      const config = JSON.stringify([transport, limits]);
      const before = known.get(name);
      known.delete(name);
      if (before?.config === config) {
        known.set(name, before);
        return await before.transport;
      }
      if (before) {
        retire(before.transport);
      }
      const made = create({ ...account, transport });
      known.set(name, { config, transport: made });
      made.catch(() => known.delete(name));
      const oldest = known.entries().next().value;
      if (known.size > maxTransports && oldest) {
        known.delete(oldest[0]);
        retire(oldest[1].transport);
      }
      return await made;
    },
  };
}
