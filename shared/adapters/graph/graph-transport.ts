import type { GraphTransportConfig } from '../../accounts/model.ts';
import { type ConnectionSlots, withSlot } from '../connection-slots.ts';
import { SessionPool } from '../session-pool.ts';
import type { FrozenMail, MailTransport, Receipt, SendOptions, SettleOptions } from '../transport.ts';
import { graphPlace } from './cloud.ts';
import { GraphClient } from './graph-client.ts';
import { type GraphSignIn, graphSignIn } from './graph-sign-in.ts';
import type { GraphContext } from './graph-store.ts';
import { forAll } from './receipts.ts';
import { sendDirect } from './send-direct.ts';
import { type DraftSender, failure, sendAsDraft, settleDraft } from './send-draft.ts';
import { SendPlace } from './send-place.ts';
import { verifyGraph } from './verify.ts';
import { defaultLimits } from './wire.ts';

export interface GraphTransportContext extends GraphContext {
  /** Mails sent at a time, one request of each; Outlook itself takes four on a mailbox. */
  readonly maxConnections: number;
  /** The places that all processes share. Absent: this process is alone. */
  readonly slots?: ConnectionSlots;
}

const outlookAtOnce = 4;
/** A place is kept this long for the next mail. */
const idleMs = 5_000;

/**
 * Sends by Microsoft Graph v1.0 as an app: by default as a draft that is then sent (`settle` finds out about lost
 * answers), with `sendMode: "direct"` by `sendMail`. Nothing is retried inside.
 */
export function createGraphTransport(config: GraphTransportConfig, context: GraphTransportContext): MailTransport {
  const { userId } = config;
  const place = graphPlace(config.cloud, context.overrides);
  const identity = `graph:${userId.toLowerCase()}`;
  const limits = { ...defaultLimits, ...context.limits };
  const closing = new AbortController();
  const { slots } = context;
  const atOnce = Math.min(context.maxConnections, outlookAtOnce);
  const openPlace = async () => ({ ok: true as const, session: new SendPlace() });
  const pool = new SessionPool<SendPlace>(slots ? withSlot(openPlace, slots) : openPlace, {
    maxConnections: atOnce,
    idleMs,
    ...(slots ? { slots } : {}),
  });
  const clients: { readonly signIn: GraphSignIn; readonly client: GraphClient }[] = [];

  /** One client as long as the credential is the same; a rotated secret brings another. */
  async function sender(signal: AbortSignal): Promise<DraftSender> {
    const signIn = await graphSignIn(config.credential, place, context.secret, {
      signal,
      limitMs: context.limits?.signIn,
    });
    let current = clients.at(-1);
    if (current?.signIn !== signIn) {
      current = {
        signIn,
        client: new GraphClient({ place, signIn, userId, atOnce, limits, dialogue: context.dialogue?.() }),
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
    const lent = await pool.lease(options.signal);
    if (!lent.ok) return forAll(mail, 'deferred', lent.trouble);
    const signal = AbortSignal.any([options.signal, lent.session.lost]);
    try {
      return await sendFrom(mail, { ...options, signal });
    } finally {
      pool.giveBack(lent.session);
    }
  }

  async function sendFrom(mail: FrozenMail, options: SendOptions): Promise<Receipt> {
    let from: DraftSender;
    try {
      from = await sender(options.signal);
    } catch (error) {
      return failure(mail, error, options.signal);
    }
    return config.sendMode === 'direct'
      ? await sendDirect(from, mail, options)
      : await sendAsDraft(from, mail, options);
  }

  async function settle(mail: FrozenMail, given: SettleOptions): Promise<Receipt | undefined> {
    const options = cut(given);
    const lent = await pool.lease(options.signal);
    if (!lent.ok) return undefined;
    const signal = AbortSignal.any([options.signal, lent.session.lost]);
    try {
      const from = await sender(signal).catch(() => undefined);
      return from && (await settleDraft(from, mail, { ...options, signal }));
    } finally {
      pool.giveBack(lent.session);
    }
  }

  return {
    protocol: config.protocol,
    send,
    // Nothing can tell what became of a mail that was sent directly.
    ...(config.sendMode === 'draft' ? { settle } : {}),
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
            client: new GraphClient({ place, signIn, userId, atOnce: 1, limits, dialogue: context.dialogue?.() }),
          };
        },
      }),
    async close() {
      closing.abort(new Error('closed'));
      for (const { client } of clients.splice(0)) client.close();
      await pool.close();
    },
  };
}
