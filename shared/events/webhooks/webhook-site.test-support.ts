import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { WebhookReceiver } from '../../../test/support/webhook-receiver.ts';
import { Shutdown } from '../../platform/shutdown.ts';
import { countDeliveries } from '../deliveries/delivery-rows.ts';
import { WakeUps } from '../deliveries/wake-ups.ts';
import type { WebhookAccount, WebhookContext } from './context.ts';
import { deliverToWebhook } from './deliver.ts';
import { webhookSink } from './sink.ts';
import { TargetNetwork } from './target-network.ts';
import { type WebhookView, webhookView } from './view.ts';

export const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** A moment on a whole second; tests move on from it. */
const start = Date.parse('2026-03-01T09:30:00Z');

/**
 * Webhooks on rows in memory and a clock that the test moves; receivers are real ones on sockets. `enqueued`: queue messages
 * so far, which nobody takes: the test has a webhook looked at by `deliver`.
 */
export class WebhookSite {
  now = start;
  readonly enqueued: { readonly target: string; readonly delayMs: number }[] = [];
  readonly shutdown = new Shutdown();
  readonly rows = new MemoryRows(() => this.now);
  readonly accounts = new Map<string, WebhookAccount>();
  readonly receivers: WebhookReceiver[] = [];
  /** What reading a secret comes to. */
  secrets: WebhookContext['secrets'] = async () => [secret];
  readonly context = this.process();
  #events = 0;

  /** Another process on the same rows, whose clock is so far ahead. */
  process(aheadMs = 0): WebhookContext {
    const clock = { now: () => this.now + aheadMs };
    const account = async (name: string) => this.accounts.get(name);
    return {
      clock,
      rows: this.rows,
      shutdown: this.shutdown,
      wakeUps: new WakeUps(async (target, delayMs) => void this.enqueued.push({ target, delayMs }), clock),
      network: new TargetNetwork(['127.0.0.0/8']),
      recentAccount: account,
      account,
      accounts: async () => [...this.accounts.keys()],
      accountNames: async () => [...this.accounts.keys()],
      secrets: (...asked) => this.secrets(...asked),
    };
  }

  async receiver(answer?: Parameters<WebhookReceiver['answers']>[0]): Promise<WebhookReceiver> {
    const receiver = await WebhookReceiver.start(answer ? { answer } : {});
    this.receivers.push(receiver);
    return receiver;
  }

  /** Makes or saves an account. */
  save(name: string, url: string, events: readonly string[] = ['mailroom.*']): void {
    const version = `${Number(this.accounts.get(name)?.version ?? 0) + 1}`;
    this.accounts.set(name, { webhook: { url, secret: `${name}-webhook`, events }, version });
  }

  /** Publishes events of an account; answers their ids. */
  async publish(account: string, count = 1): Promise<readonly string[]> {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) {
      this.#events += 1;
      const subject = `${account}.${String(this.#events).padStart(20, '0')}`;
      ids.push(`mailroom.message.sent:${subject}`);
      const event = { account, subject, time: this.now, data: { status: 'sent' } };
      await webhookSink(this.context).publish({ type: 'mailroom.message.sent', ...event });
    }
    return ids;
  }

  /** Does what a queue message for the account asks for. */
  async deliver(account: string, context = this.context): Promise<void> {
    await deliverToWebhook(context, account, { signal: new AbortController().signal });
  }

  async waiting(account: string): Promise<number> {
    return await countDeliveries(this.context, account, 'waiting', {
      signal: new AbortController().signal,
      top: 5_000,
    });
  }

  async view(name: string): Promise<WebhookView> {
    const account = this.accounts.get(name) ?? { webhook: null, version: '' };
    return await webhookView(this.context, name, account, { signal: new AbortController().signal });
  }

  async stop(): Promise<void> {
    await this.shutdown.announce(0);
    for (const receiver of this.receivers) await receiver.stop();
  }
}
