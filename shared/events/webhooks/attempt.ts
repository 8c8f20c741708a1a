import { errorText, log } from '../../platform/log.ts';
import { SecretMissing, SecretWithheld } from '../../secrets/secret-store.ts';
import type { CloudEvent } from '../events.ts';
import type { WebhookContext } from './context.ts';
import { type Answer, post } from './post.ts';
import { readRetryAfter } from './schedule.ts';
import { rotationMs, signatureHeaders, UnusableSecret } from './signatures.ts';
import type { Webhook } from './webhook.ts';

/** Secrets to sign with, or the code of why there are none. */
export type SigningSecrets = { readonly values: readonly string[] } | { readonly code: string };

/** What came of one attempt. */
export interface Attempt {
  readonly delivered: boolean;
  /** Of the answer. */
  readonly status?: number;
  /** Why there was no answer. */
  readonly code?: string;
  /** The receiver asks to be left alone for so long, in ms. */
  readonly retryAfterMs?: number;
  readonly ms: number;
}

/** The secrets that requests to an account's webhook are signed with now. Never throws, but for the signal. */
export async function signingSecrets(
  context: WebhookContext,
  account: string,
  { secret }: Webhook,
  signal: AbortSignal,
): Promise<SigningSecrets> {
  try {
    const since = context.clock.now() - rotationMs;
    return { values: await context.secrets(account, secret, { since, signal }) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SecretMissing) return { code: 'SECRET_MISSING' };
    if (error instanceof SecretWithheld) return { code: 'SECRET_WITHHELD' };
    log.warn('webhook.secretUnknown', { account, secret, error: errorText(error) });
    return { code: 'SECRET_UNKNOWN' };
  }
}

/** Where an attempt goes, what it is signed with, and for how long it may be wanted. */
export interface Receiver {
  readonly webhook: Webhook;
  readonly secrets: SigningSecrets;
  readonly signal: AbortSignal;
}

/** Sends an event to a webhook once. Never throws. */
export async function attempt(
  { clock, network }: Pick<WebhookContext, 'clock' | 'network'>,
  { webhook, secrets, signal }: Receiver,
  event: CloudEvent,
): Promise<Attempt> {
  const began = performance.now();
  const answer = await sent();
  const ms = Math.round(performance.now() - began);
  if ('code' in answer) return { delivered: false, code: answer.code, ms };
  const { status } = answer;
  if (status >= 200 && status < 300) return { delivered: true, status, ms };
  const retryAfterMs = readRetryAfter(answer.retryAfter, clock.now());
  return { delivered: false, status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ms };

  async function sent(): Promise<Answer> {
    if ('code' in secrets) return secrets;
    const url = URL.parse(webhook.url);
    if (!url) return { code: 'FAILED' };
    const body = JSON.stringify(event);
    try {
      const signed = signatureHeaders(secrets.values, { id: event.id, at: new Date(clock.now()), body });
      const headers = { 'content-type': 'application/cloudevents+json', 'user-agent': 'Mailroom', ...signed };
      return await post({ url, headers, body }, network.policy(url), signal);
    } catch (error) {
      if (error instanceof UnusableSecret) return { code: 'SECRET_UNUSABLE' };
      throw error;
    }
  }
}
