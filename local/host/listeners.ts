import { randomUUID } from 'node:crypto';
import type { ContainerClient } from '@azure/storage-blob';
import type { FunctionIndex, HostFunction } from './function-index.ts';
import type { HostJson } from './host-json.ts';
import type { Invocation, Invoker } from './invocation.ts';
import { type HostLog, messageOf } from './log.ts';
import { type QueueListener, startQueueListener } from './queue.ts';
import { queueTriggerMetadata } from './queue-message.ts';
import type { Storage } from './storage-connection.ts';
import { startTimer, type TimerListener, timerInput } from './timer.ts';
import { blobTimerStatus } from './timer-status.ts';

export interface ListenerOptions {
  readonly invoker: Invoker;
  readonly log: HostLog;
  readonly hostJson: HostJson;
  readonly hostId: string;
  readonly storage: Storage;
}

/** The timers and queues of an app, listening. */
export interface Listeners {
  stop(): Promise<void>;
}

type Listening = Exclude<HostFunction, { kind: 'http' }>;

const HOSTS_CONTAINER = 'azure-webjobs-hosts';

/** Starts a listener for each timer and queue. One that cannot start is logged; the others listen. */
export async function startListeners(index: FunctionIndex, options: ListenerOptions): Promise<Listeners> {
  const { invoker, log, hostJson, hostId, storage } = options;
  const timers: TimerListener[] = [];
  const queues: QueueListener[] = [];
  for (const fn of index.functions) {
    if (fn.kind === 'http' || fn.disabled) continue;
    try {
      if (fn.kind === 'timer') {
        const { singleton } = hostJson;
        timers.push(startTimer(fn, { invoker, log, container: await hostsContainer(storage), hostId, singleton }));
      } else {
        const service = await storage.queues(fn.connection);
        queues.push(startQueueListener(fn, { invoker, log, queues: hostJson.queues, service }));
      }
    } catch (error) {
      log.write(
        'error',
        'Host.Startup',
        `The listener for function '${fn.name}' was unable to start: ${messageOf(error)}`,
      );
    }
  }
  return {
    stop: async () => {
      await Promise.all([...timers, ...queues].map((listener) => listener.stop()));
    },
  };
}

/** Runs a function that nothing triggered, by hand: a timer as if its time had come, a queue with `input` as message. */
export async function fireByHand(fn: Listening, input: string | undefined, options: ListenerOptions): Promise<void> {
  try {
    const invocation = fn.kind === 'timer' ? await timerInvocation(fn, options) : queueInvocation(fn, input ?? '');
    await options.invoker.invoke(fn, invocation);
  } catch {
    // Logged by the invoker; whoever fired it has been answered already.
  }
}

async function timerInvocation(
  fn: Extract<Listening, { kind: 'timer' }>,
  options: ListenerOptions,
): Promise<Invocation> {
  const { storage, hostId, log } = options;
  let json = timerInput(undefined, false);
  if (fn.useMonitor) {
    try {
      json = timerInput(await blobTimerStatus(await hostsContainer(storage), hostId, fn.name).read(), false);
    } catch (error) {
      log.write('warning', 'Host.Triggers.Timer', `The status of timer '${fn.name}' was not read: ${messageOf(error)}`);
    }
  }
  const reason = 'This function was called by hand via the admin API.';
  return { inputs: [{ name: fn.triggerName, data: { json } }], triggerMetadata: {}, reason };
}

function queueInvocation(fn: Listening, text: string): Invocation {
  const now = new Date();
  const message = { messageId: randomUUID(), popReceipt: '', dequeueCount: 1 };
  return {
    inputs: [{ name: fn.triggerName, data: { string: text } }],
    triggerMetadata: queueTriggerMetadata({ ...message, insertedOn: now, expiresOn: now, nextVisibleOn: now }, text),
    reason: 'This function was called by hand via the admin API.',
  };
}

async function hostsContainer(storage: Storage): Promise<ContainerClient> {
  return (await storage.blobs(undefined)).getContainerClient(HOSTS_CONTAINER);
}
