import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { type Action, useRefusal } from '../api/permissions.ts';
import { tell } from './toast.tsx';

export interface ButtonProps {
  /** What it does. While that is under way the button says so and does nothing else. */
  readonly onClick?: () => unknown;
  /** The function of the service that it needs: where the caller may not use it, the button is grey and says why. */
  readonly needs?: Action | undefined;
  /** Why it cannot be used for another reason; undefined: it can. */
  readonly notNow?: string | undefined;
  /** Under way, where the parent knows better. */
  readonly busy?: boolean;
  readonly kind?: 'main' | 'danger' | 'plain';
  readonly submit?: boolean;
  readonly children: ComponentChildren;
}

/** A button. One that cannot be used stays in the tab order, and tells why. */
export function Button({ onClick, needs, notNow, busy = false, kind, submit = false, children }: ButtonProps) {
  const [working, setWorking] = useState(false);
  const refusal = useRefusal(needs);
  const why = useId();
  const reason = refusal ?? notNow;
  const underWay = busy || working;
  const click = async (event: Event) => {
    if (reason !== undefined || underWay) {
      event.preventDefault();
      if (reason !== undefined) tell(reason);
      return;
    }
    if (!onClick) return;
    setWorking(true);
    try {
      await onClick();
    } finally {
      setWorking(false);
    }
  };
  return (
    <>
      <button
        type={submit ? 'submit' : 'button'}
        class={kind}
        aria-disabled={reason !== undefined || underWay}
        aria-busy={underWay}
        aria-describedby={reason === undefined ? undefined : why}
        title={reason}
        onClick={click}
      >
        {underWay && <span class="spinner" aria-hidden="true" />}
        {children}
      </button>
      {reason !== undefined && (
        <span id={why} class="hidden">
          {reason}
        </span>
      )}
    </>
  );
}
