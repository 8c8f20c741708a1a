import type { QueueClient } from '@azure/storage-queue';
import type { InvocationResponse, TypedData } from './core-types.ts';
import type { QueueOutput } from './function-index.ts';
import type { QueueOptions } from './host-json.ts';
import { encodeMessage } from './queue-message.ts';
import type { Storage } from './storage-connection.ts';

/** At once per output, so that an array of thousands does not open as many connections. */
const CONCURRENT_SENDS = 16;

export interface QueueOutputs {
  /** Sends what a successful invocation left for its queue outputs. @throws when a message could not be sent. */
  write(outputs: readonly QueueOutput[], response: InvocationResponse): Promise<void>;
}

/** `sent` is told each queue written to, so that this host's own listener need not wait for its next poll. */
export function createQueueOutputs(
  storage: Storage,
  encoding: QueueOptions['messageEncoding'],
  sent: (queueName: string) => void,
): QueueOutputs {
  const clients = new Map<string, QueueClient>();

  async function clientOf({ queueName, connection }: QueueOutput): Promise<QueueClient> {
    const key = `${connection ?? ''} ${queueName}`;
    const client = clients.get(key) ?? (await storage.queues(connection)).getQueueClient(queueName);
    clients.set(key, client);
    return client;
  }

  async function writeOne(output: QueueOutput, data: TypedData): Promise<void> {
    const messages = messagesOf(data);
    if (messages.length === 0) return;
    const client = await clientOf(output);
    let next = 0;
    const worker = async () => {
      for (let content = messages[next++]; content !== undefined; content = messages[next++]) {
        await sendMessage(client, encodeMessage(content, encoding));
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENT_SENDS, messages.length) }, worker));
    sent(output.queueName);
  }

  return {
    write: async (outputs, response) => {
      for (const output of outputs) {
        const data =
          output.name === '$return'
            ? response.returnValue
            : response.outputData?.find((entry) => entry.name === output.name)?.data;
        if (data) await writeOne(output, data);
      }
    },
  };
}

/** Sends the stored form of a message, making the queue when it is absent. */
export async function sendMessage(client: QueueClient, stored: string): Promise<void> {
  try {
    await client.sendMessage(stored);
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
    await client.createIfNotExists();
    await client.sendMessage(stored);
  }
}

/** The HTTP status of an Azure SDK error. */
export function statusOf(error: unknown): number | undefined {
  return typeof error === 'object' && error !== null && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;
}

/** A text is one message, an array one per element, any other JSON its own text. */
function messagesOf(data: TypedData): readonly (string | Uint8Array)[] {
  if (data.string !== undefined && data.string !== null) return [data.string];
  if (data.bytes) return [data.bytes];
  if (data.int !== undefined && data.int !== null) return [String(data.int)];
  if (data.double !== undefined && data.double !== null) return [String(data.double)];
  if (data.json === undefined || data.json === null) return [];
  const value: unknown = JSON.parse(data.json);
  if (!Array.isArray(value)) return [data.json];
  return value.map((element: unknown) => (typeof element === 'string' ? element : JSON.stringify(element)));
}
