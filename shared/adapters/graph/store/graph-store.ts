import type { GraphStoreConfig } from '../../../accounts/model.ts';
import type { DialogueContext } from '../../dialogue.ts';
import type { CloudOverrides } from '../../sign-in/entra/place.ts';
import type { ReadSecret } from '../../sign-in/secret-value.ts';
import type { MailStore } from '../../store.ts';
import { graphPlace } from '../cloud.ts';
import { Folders } from '../folders.ts';
import { GraphClient } from '../graph-client.ts';
import { graphSignIn } from '../graph-sign-in.ts';
import type { SilenceLimits } from '../http-exchange.ts';
import { verifyGraph } from '../verify.ts';
import { GraphSession } from './graph-session.ts';
import { storeError } from './store-errors.ts';

/** What store and transport ask of the service. */
export interface GraphContext extends DialogueContext {
  readonly secret: ReadSecret;
  readonly overrides?: CloudOverrides | undefined;
  /** How long servers may be silent, in ms; the defaults where absent. */
  readonly limits?: Partial<SilenceLimits & { readonly signIn: number }> | undefined;
}

/**
 * Requests of one import at a time: one fewer than Outlook takes, so that the mailbox can still send. A session holds
 * that many slots of the mailbox, which all processes share, until it is closed: with four, a send would wait for its end.
 */
const importConcurrency = 3;

/** All the waiting for Retry-After in one session; what asks for more is handed back to the queue. */
const sessionPatienceMs = 20_000;

/**
 * Fetches mail by Microsoft Graph v1.0 as an app. The identity is `graph:{userId}` in lower case; a mail's id is its
 * immutable id, which it keeps in whatever folder.
 */
export function createGraphStore(config: GraphStoreConfig, context: GraphContext): MailStore {
  const { userId } = config;
  const identity = `graph:${userId.toLowerCase()}`;
  const place = graphPlace(config.cloud, context.overrides);
  const connect = async (signal: AbortSignal, concurrency: number) => {
    const signIn = await graphSignIn(config.credential, place, context.secret, {
      signal,
      limitMs: context.limits?.signIn,
    });
    const token = await signIn.token(signal);
    const client = new GraphClient({
      place,
      signIn,
      userId,
      concurrency,
      limits: context.limits,
      dialogue: context.dialogue?.(),
      patience: { leftMs: sessionPatienceMs },
    });
    return { token, client };
  };
  return {
    protocol: config.protocol,
    // Graph rebuilds MIME whenever it is asked.
    abilities: { markRead: true, stableBytes: false, lastingIds: true },
    identity,
    connections: importConcurrency,
    open: async ({ signal, cut, connections = importConcurrency }) => {
      try {
        const concurrency = Math.min(importConcurrency, connections);
        const { client } = await connect(signal, concurrency);
        cut?.addEventListener('abort', () => client.close(), { once: true });
        if (cut?.aborted) client.close();
        return new GraphSession({ client, folders: new Folders(client, userId), identity, userId }, concurrency);
      } catch (error) {
        throw storeError(error, signal);
      }
    },
    verify: ({ signal, folders, moveTo, changes }) =>
      verifyGraph(config, {
        signal,
        place,
        needs: [changes ? 'Mail.ReadWrite' : 'Mail.Read'],
        folders: [...folders, ...(moveTo === undefined ? [] : [moveTo])],
        signIn: (limited) => connect(limited, 1),
      }),
  };
}
