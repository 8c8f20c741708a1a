import type { GraphTransportConfig } from '../../accounts/model.ts';
import type { FrozenMail, MailTransport, Receipt, SendOptions, SettleOptions } from '../transport.ts';
import { graphPlace } from './cloud.ts';
import { GraphClient } from './graph-client.ts';
import { type GraphSignIn, graphSignIn } from './graph-sign-in.ts';
import type { GraphContext } from './graph-store.ts';
import { sendDirect } from './send-direct.ts';
import { type DraftSender, failure, sendAsDraft, settleDraft } from './send-draft.ts';
import { verifyGraph } from './verify.ts';
import { defaultLimits } from './wire.ts';

export interface GraphTransportContext extends GraphContext {
  /** Requests at a time; Outlook itself takes four on a mailbox. */
  readonly maxConnections: number;
}

const outlookAtOnce = 4;

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
  const clients: { readonly signIn: GraphSignIn; readonly client: GraphClient }[] = [];

  /** One client as long as the credential is the same; a rotated secret brings another. */
  async function sender(signal: AbortSignal): Promise<DraftSender> {
    const signIn = await graphSignIn(config.credential, place, context.secret, {
      signal,
      limitMs: context.limits?.signIn,
    });
    let current = clients.at(-1);
    if (current?.signIn !== signIn) {
      const atOnce = Math.min(context.maxConnections, outlookAtOnce);
      current = { signIn, client: new GraphClient({ place, signIn, userId, atOnce, limits }) };
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
    let from: DraftSender;
    try {
      from = await sender(options.signal);
    } catch {
      return undefined;
    }
    return await settleDraft(from, mail, options);
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
          return { token, client: new GraphClient({ place, signIn, userId, atOnce: 1, limits }) };
        },
      }),
    async close() {
      closing.abort(new Error('closed'));
      for (const { client } of clients.splice(0)) client.close();
    },
  };
}
