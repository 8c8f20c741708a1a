import { setTimeout as sleep } from 'node:timers/promises';
import type { BlobLeaseClient, ContainerClient } from '@azure/storage-blob';
import type { SingletonOptions } from './host-json.ts';
import { type HostLog, messageOf } from './log.ts';
import { statusOf } from './storage-errors.ts';

/** A lease that is renewed until it is released or lost. */
export interface SingletonLock {
  /** Aborted when the lease is lost. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

/** Where the locks are, and how long they last. */
export interface SingletonContext {
  readonly container: ContainerClient;
  readonly hostId: string;
  readonly singleton: SingletonOptions;
  readonly log: HostLog;
}

/**
 * Waits until this host holds `locks/{hostId}/Host.Functions.{name}.Listener`, so that of several hosts with one id
 * only one runs the timer. Whoever does not get it asks again every recovery interval: after a crash that takes up to
 * the lock period and the interval together (WebJobs SDK, SingletonListener).
 *
 * @throws when the signal is aborted, or storage refuses for another reason than a lease held elsewhere.
 */
export async function acquireSingleton(
  name: string,
  { container, hostId, singleton: options, log }: SingletonContext,
  signal: AbortSignal,
): Promise<SingletonLock> {
  const blob = container.getBlockBlobClient(`locks/${hostId}/Host.Functions.${name}.Listener`);
  const client = blob.getBlobLeaseClient();
  const seconds = Math.round(options.listenerLockPeriod / 1_000);
  let logged = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      await client.acquireLease(seconds, { abortSignal: signal });
      return keep(client, name, options, log);
    } catch (error) {
      const status = statusOf(error);
      if (status === 404) {
        await createBlob(container, () => blob.upload('', 0, { conditions: { ifNoneMatch: '*' } }));
        continue;
      }
      if (status !== 409) throw error;
      if (!logged) {
        log.write(
          'information',
          'Host.Singleton',
          `The timer '${name}' runs in another host with this id, or did until just now; asking again every ${options.listenerLockRecoveryPollingInterval / 1_000} s.`,
        );
      }
      logged = true;
      await sleep(options.listenerLockRecoveryPollingInterval, undefined, { signal });
    }
  }
}

async function createBlob(container: ContainerClient, upload: () => Promise<unknown>): Promise<void> {
  await container.createIfNotExists();
  try {
    await upload();
  } catch (error) {
    // 409 and 412: another host made it first.
    if (statusOf(error) !== 409 && statusOf(error) !== 412) throw error;
  }
}

function keep(client: BlobLeaseClient, name: string, options: SingletonOptions, log: HostLog): SingletonLock {
  const lost = new AbortController();
  let validUntil = Date.now() + options.listenerLockPeriod;
  let renewing: Promise<void> = Promise.resolve();
  const renew = async () => {
    try {
      await client.renewLease();
      validUntil = Date.now() + options.listenerLockPeriod;
    } catch (error) {
      log.write('error', 'Host.Singleton', `The lock of timer '${name}' was not renewed: ${messageOf(error)}`);
      const status = statusOf(error);
      // 409, 412 and 404 say that the lease is someone else's or gone; anything else may pass by the next renewal.
      if (status === 409 || status === 412 || status === 404 || Date.now() >= validUntil) {
        clearInterval(timer);
        lost.abort(new Error('the singleton lock was lost'));
      }
    }
  };
  const timer = setInterval(() => {
    renewing = renewing.then(renew);
  }, options.listenerLockPeriod / 3);
  timer.unref();
  return {
    lost: lost.signal,
    release: async () => {
      clearInterval(timer);
      await renewing;
      if (!lost.signal.aborted) await client.releaseLease().catch(() => undefined);
    },
  };
}
