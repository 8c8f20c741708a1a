import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { Action } from '../api/permissions.ts';
import { Button } from './button.tsx';
import { focusHeading } from './kept-focus.ts';

export interface DialogProps {
  readonly title: string;
  /** Called when it is closed, by Escape too. Absent: it stays until what is asked is done. */
  readonly onClose?: () => void;
  readonly children: ComponentChildren;
}

/** A dialog over the page. The browser keeps the focus in it; when it goes, the focus is where it was. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const gone = useRef(false);
  const heading = useId();
  useEffect(() => {
    const { current } = element;
    const before = document.activeElement;
    if (current && !current.open) current.showModal();
    return () => {
      gone.current = true;
      current?.close();
      // The browser does that only for a dialog that is still in the page.
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      else focusHeading();
    };
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
      onClose={({ currentTarget }) => {
        // A second Escape closes it, whatever the page says to the first one (HTML: "close watcher").
        if (gone.current) return;
        if (onClose) onClose();
        else currentTarget.showModal();
      }}
    >
      <h2 id={heading}>{title}</h2>
      {children}
    </dialog>
  );
}

export interface ConfirmProps {
  readonly title: string;
  /** What is lost, and what stays. */
  readonly children: ComponentChildren;
  /** The verb, as on the button that opened it. */
  readonly verb: string;
  readonly needs?: Action;
  readonly onConfirm: () => unknown;
  readonly onClose: () => void;
}

/** Asks before something is lost. */
export function Confirm({ title, children, verb, needs, onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <div class="actions">
        <Button onClick={onClose}>Keep it</Button>
        <Button kind="danger" needs={needs} onClick={onConfirm}>
          {verb}
        </Button>
      </div>
    </Dialog>
  );
}
