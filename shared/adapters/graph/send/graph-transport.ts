import type { GraphTransportConfig } from '../../../accounts/model.ts';
import type { ConnectionSlots } from '../../../limits/connection-slots.ts';
import { isAcquired } from '../../../platform/acquired.ts';
import { withSlot } from '../../connections/connection-slots.ts';
import { SessionPool } from '../../connections/session-pool.ts';
import { receiptForAll } from '../../receipts.ts';
import type { FrozenMail, MailTransport, Receipt, ResolveOptions, SendOptions } from '../../transport.ts';
import { TransportClosed } from '../../trouble.ts';
import { graphPlace } from '../cloud.ts';
import { GraphClient } from '../graph-client.ts';
import { type GraphSignIn, graphSignIn } from '../graph-sign-in.ts';
import { defaultLimits } from '../http-exchange.ts';
import type { GraphContext } from '../store/graph-store.ts';
import { verifyGraph } from '../verify.ts';
import { sendDirect } from './send-direct.ts';
import { type DraftSender, failure, resolveUncertainDraft, sendAsDraft } from './send-draft.ts';
import { SendSlot } from './send-slot.ts';

/** What the transport needs from outside. */
export interface GraphTransportContext extends GraphContext {
  /** Mails sent at a time, one request of each; Outlook itself takes four on a mailbox. */
  readonly maxConnections: number;
  /** The slots that all processes share. Absent: this process is alone. */
  readonly slots?: ConnectionSlots;
}

const outlookConcurrency = 4;
/** A slot is kept this long for the next mail. */
const idleMs = 5_000;

/**
 * Sends by Microsoft Graph v1.0 as an app: by default as a draft that is then sent (`resolveUncertain` finds out about lost
 * answers), with `sendMode: "direct"` by `sendMail`. Nothing is retried inside.
 */
export function createGraphTransport(config: GraphTransportConfig, context: GraphTransportContext): MailTransport {
  const { userId } = config;
  const place = graphPlace(config.cloud, context.overrides);
  const identity = `graph:${userId.toLowerCase()}`;
  const limits = { ...defaultLimits, ...context.limits };
  const closing = new AbortController();
  const { slots } = context;
  const concurrency = Math.min(context.maxConnections, outlookConcurrency);
  const openSlot = async () => ({ ok: true as const, session: new SendSlot() });
  const pool = new SessionPool<SendSlot>(slots ? withSlot(openSlot, slots) : openSlot, {
    maxConnections: concurrency,
    idleMs,
    ...(slots ? { slots } : {}),
  });
  const clients: { readonly signIn: GraphSignIn; readonly client: GraphClient }[] = [];

  /** One client as long as the credential is the same; with a rotated secret another one is made. */
  async function senderFor(signal: AbortSignal): Promise<DraftSender> {
    const signIn = await graphSignIn(config.credential, place, context.secret, {
      signal,
      limitMs: context.limits?.signIn,
    });
    let current = clients.at(-1);
    if (current?.signIn !== signIn) {
      current = {
        signIn,
        client: new GraphClient({ place, signIn, userId, concurrency, limits, dialogue: context.dialogue?.() }),
      };
      clients.push(current);
    }
    return { client: current.client, userId, identity, limits };
  }

  const cut = <T extends { readonly signal: AbortSignal }>(options: T): T => ({
    ...options,
    signal: AbortSignal.any([options.signal, closing.signal]),
  });

  async function send(mail: FrozenMail, given: SendOptions): Promise<Receipt> {
    const options = cut(given);
    const lent = await pool.acquire(options.signal);
    if (!isAcquired(lent)) return receiptForAll(mail, 'deferred', lent);
    const signal = AbortSignal.any([options.signal, lent.session.lost]);
    try {
      return await sendFrom(mail, { ...options, signal });
    } finally {
      lent.release();
    }
  }

  async function sendFrom(mail: FrozenMail, options: SendOptions): Promise<Receipt> {
    let from: DraftSender;
    try {
      from = await senderFor(options.signal);
    } catch (error) {
      return failure(mail, error, options.signal);
    }
    return config.sendMode === 'direct'
      ? await sendDirect(from, mail, options)
      : await sendAsDraft(from, mail, options);
  }

  async function resolveUncertain(mail: FrozenMail, given: ResolveOptions): Promise<Receipt | undefined> {
    const options = cut(given);
    const lent = await pool.acquire(options.signal);
    if (!isAcquired(lent)) return undefined;
    const signal = AbortSignal.any([options.signal, lent.session.lost]);
    try {
      const from = await senderFor(signal).catch(() => undefined);
      return from && (await resolveUncertainDraft(from, mail, { ...options, signal }));
    } finally {
      lent.release();
    }
  }

  return {
    protocol: config.protocol,
    send,
    // There is no way to find out what became of a mail that was sent directly.
    ...(config.sendMode === 'draft' ? { resolveUncertain } : {}),
    verify: ({ signal }) =>
      verifyGraph(config, {
        signal,
        place,
        needs: config.sendMode === 'direct' ? ['Mail.Send'] : ['Mail.ReadWrite', 'Mail.Send'],
        folders: [],
        signIn: async (limited) => {
          const signIn = await graphSignIn(config.credential, place, context.secret, {
            signal: limited,
            limitMs: context.limits?.signIn,
          });
          const token = await signIn.token(limited);
          return {
            token,
            client: new GraphClient({ place, signIn, userId, concurrency: 1, limits, dialogue: context.dialogue?.() }),
          };
        },
      }),
    async close() {
      closing.abort(new TransportClosed());
      for (const { client } of clients.splice(0)) client.close();
      await pool.close();
    },
  };
}
