import type { components } from '../../api/openapi.d.ts';
import { Pill } from '../../parts/pill.tsx';

export type Webhook = components['schemas']['Webhook'];
type State = Webhook['state'];

const states: Readonly<Record<State, { readonly name: string; readonly kind: 'good' | 'bad' | 'idle' }>> = {
  none: { name: 'none', kind: 'idle' },
  ok: { name: 'works', kind: 'good' },
  failing: { name: 'fails', kind: 'bad' },
  stopped: { name: 'stopped', kind: 'bad' },
};

/** The state of a webhook in a word. */
export function WebhookState({ state }: { readonly state: State }) {
  const { name, kind } = states[state];
  return <Pill kind={kind}>{name}</Pill>;
}

/** What its state means for whoever waits for events. */
export function stateText(state: State): string | undefined {
  if (state === 'failing') return 'The last attempt failed. Events wait, and are tried again for three days.';
  if (state === 'stopped')
    return 'The receiver answered 410 Gone: nothing is sent any more. Save the webhook to begin again.';
  return undefined;
}

/** What came back of an attempt: a status, or a code where there was no answer. */
export function answerText({ status, code }: { readonly status?: number; readonly code?: string }): string {
  return status === undefined ? (code ?? 'no answer') : String(status);
}
