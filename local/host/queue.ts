import type { DequeuedMessageItem, QueueClient, QueueServiceClient } from '@azure/storage-queue';
import type { QueueFunction } from './function-index.ts';
import type { QueueOptions } from './host-json.ts';
import type { Invoker } from './invocation.ts';
import { type HostLog, messageOf } from './log.ts';
import { createBackoff } from './queue-backoff.ts';
import { decodeMessage, queueTriggerMetadata } from './queue-message.ts';
import { statusOf } from './storage-errors.ts';

export interface QueueListener {
  /** Receives no more, and waits for the messages that are being handled. */
  stop(): Promise<void>;
}

export interface QueueListenerOptions {
  readonly invoker: Invoker;
  readonly log: HostLog;
  readonly queues: QueueOptions;
  readonly service: QueueServiceClient;
}

/** A message received is invisible for ten minutes, renewed at half time while its function runs (QueueProcessor). */
const VISIBILITY_SECONDS = 600;
const RENEW_AFTER = (VISIBILITY_SECONDS * 1_000) / 2;
const MIN_POLLING_INTERVAL = 100;
const POISON = '-poison';
/** A receive under way at a stop is waited for, so that its messages are not lost to view; but not for ever. */
const STOP_RECEIVE_LIMIT = 3_000;
const CATEGORY = 'Host.Triggers.Queue';

/**
 * Listens to a storage queue (WebJobs SDK, QueueListener): a batch is received whenever no more than newBatchThreshold
 * messages are being handled, so at most batchSize + newBatchThreshold are; an empty queue is polled ever more seldom.
 */
export function startQueueListener(fn: QueueFunction, options: QueueListenerOptions): QueueListener {
  const { invoker, log, queues, service } = options;
  const queue = service.getQueueClient(fn.queueName);
  // A trigger on a poison queue has none of its own: what fails there just stays invisible.
  const poison = fn.queueName.endsWith(POISON) ? undefined : service.getQueueClient(fn.queueName + POISON);
  const backoff = createBackoff(MIN_POLLING_INTERVAL, queues.maxPollingInterval);
  const stopping = new AbortController();
  const cutReceive = new AbortController();
  let running = 0;
  let changed: () => void = () => undefined;

  async function receive(): Promise<readonly DequeuedMessageItem[]> {
    try {
      const response = await queue.receiveMessages({
        numberOfMessages: queues.batchSize,
        visibilityTimeout: VISIBILITY_SECONDS,
        abortSignal: cutReceive.signal,
      });
      return response.receivedMessageItems;
    } catch (error) {
      // A queue that does not exist yet is an empty one.
      if (!stopping.signal.aborted && statusOf(error) !== 404) {
        log.write('warning', CATEGORY, `Queue '${fn.queueName}' could not be read: ${messageOf(error)}`);
      }
      return [];
    }
  }

  async function listen(): Promise<void> {
    while (!stopping.signal.aborted) {
      const messages = await receive();
      for (const message of messages) {
        running += 1;
        void process(message).finally(() => {
          running -= 1;
          changed();
        });
      }
      if (messages.length === 0) await backoff.wait(stopping.signal);
      else {
        backoff.reset();
        await fewerThan(queues.newBatchThreshold + 1, stopping.signal);
      }
    }
    await fewerThan(1);
  }

  function fewerThan(limit: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (running >= limit && !signal?.aborted) return;
        signal?.removeEventListener('abort', check);
        resolve();
      };
      changed = check;
      signal?.addEventListener('abort', check, { once: true });
      check();
    });
  }

  /** Never throws: whatever goes wrong here, the message comes again. */
  async function process(message: DequeuedMessageItem): Promise<void> {
    try {
      const text = decodeMessage(message.messageText, queues.messageEncoding);
      if (text === undefined) {
        log.write(
          'warning',
          CATEGORY,
          `Message decoding has failed! Check MessageEncoding settings. MessageId=${message.messageId}`,
        );
        return await moveToPoison(message);
      }
      if (poison && message.dequeueCount > queues.maxDequeueCount) return await moveToPoison(message);
      await handle(message, text);
    } catch (error) {
      log.write('error', CATEGORY, `Message ${message.messageId} of '${fn.queueName}': ${messageOf(error)}`);
    }
  }

  async function handle(message: DequeuedMessageItem, text: string): Promise<void> {
    const lease = renewWhileRunning(queue, message, log);
    const invocation = {
      inputs: [{ name: fn.triggerName, data: { string: text } }],
      triggerMetadata: queueTriggerMetadata(message, text),
      reason: `New queue message detected on '${fn.queueName}'. MessageId=${message.messageId}, DequeueCount=${message.dequeueCount}`,
    };
    const succeeded = await invoker.invoke(fn, invocation).then(
      () => true,
      () => false,
    );
    const popReceipt = await lease.end();
    if (succeeded) await remove(message.messageId, popReceipt);
    else if (!poison) return;
    else if (message.dequeueCount >= queues.maxDequeueCount) await moveToPoison({ ...message, popReceipt });
    else {
      const seconds = Math.round(queues.visibilityTimeout / 1_000);
      await queue.updateMessage(message.messageId, popReceipt, undefined, seconds);
      // Nothing to wait for: it is visible again at once.
      if (seconds === 0) backoff.wake();
    }
  }

  async function moveToPoison(message: Pick<DequeuedMessageItem, 'messageId' | 'popReceipt' | 'messageText'>) {
    if (!poison) return;
    log.write('warning', CATEGORY, `Moving message ${message.messageId} to queue '${fn.queueName}${POISON}'.`);
    await poison.createIfNotExists();
    await poison.sendMessage(message.messageText);
    await remove(message.messageId, message.popReceipt);
  }

  async function remove(messageId: string, popReceipt: string): Promise<void> {
    try {
      await queue.deleteMessage(messageId, popReceipt);
    } catch (error) {
      // Gone, or received by someone else since: nothing left to do here.
      if (statusOf(error) !== 404) throw error;
    }
  }

  const done = listen();
  return {
    stop: async () => {
      stopping.abort();
      const cut = setTimeout(() => cutReceive.abort(), STOP_RECEIVE_LIMIT);
      await done;
      clearTimeout(cut);
    },
  };
}

/** Keeps a message invisible; `end` answers the pop receipt that is valid now. */
function renewWhileRunning(queue: QueueClient, message: DequeuedMessageItem, log: HostLog) {
  let { popReceipt } = message;
  let renewing: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    renewing = renewing.then(async () => {
      try {
        const renewed = await queue.updateMessage(message.messageId, popReceipt, undefined, VISIBILITY_SECONDS);
        popReceipt = renewed.popReceipt ?? popReceipt;
      } catch (error) {
        log.write('warning', CATEGORY, `Message ${message.messageId} was not renewed: ${messageOf(error)}`);
      }
    });
  }, RENEW_AFTER);
  return {
    end: async (): Promise<string> => {
      clearInterval(timer);
      await renewing;
      return popReceipt;
    },
  };
}
