import type { TokenCredential } from '@azure/identity';
import type { CloudEvent } from '../events.ts';

/** An Event Grid topic with the schema of CloudEvents. */
export interface TopicClient {
  /** Publishes some events, all or none of them. Throws TopicRefusal, or what goes wrong on the way. */
  send(events: readonly CloudEvent[], signal: AbortSignal): Promise<void>;
}

/** The topic answered, and took nothing. */
export class TopicRefusal extends Error {
  override readonly name = 'TopicRefusal';
  readonly status: number;
  /** What the topic said, as one word. */
  readonly code: string | undefined;
  constructor(status: number, code: string | undefined) {
    super(`The topic answered ${status}`);
    this.status = status;
    this.code = code;
  }
}

/** A client that is made at its first use, signed in as the app. `endpoint`: the topic's, with its path. */
export function topicClient(endpoint: string, credential: () => Promise<TokenCredential>): TopicClient {
  let client: Promise<{ send: TopicClient['send'] }> | undefined;
  async function connect() {
    const [{ EventGridPublisherClient }, token] = await Promise.all([import('@azure/eventgrid'), credential()]);
    // Whoever calls tries again, for longer.
    const publisher = new EventGridPublisherClient(endpoint, 'CloudEvent', token, { retryOptions: { maxRetries: 0 } });
    return {
      async send(events: readonly CloudEvent[], signal: AbortSignal) {
        const sent = events.map(({ specversion: _, time, data, ...event }) => ({
          ...event,
          time: new Date(time),
          data: { ...data },
        }));
        try {
          await publisher.send(sent, { abortSignal: signal });
        } catch (error) {
          throw refusalOf(error) ?? error;
        }
      },
    };
  }
  return {
    async send(events, signal) {
      client ??= connect().catch((error) => {
        client = undefined;
        throw error;
      });
      await (await client).send(events, signal);
    },
  };
}

function refusalOf(error: unknown): TopicRefusal | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  const { statusCode } = error;
  if (typeof statusCode !== 'number') return undefined;
  const code = 'code' in error && typeof error.code === 'string' ? error.code.slice(0, 60) : undefined;
  return new TopicRefusal(statusCode, code);
}
