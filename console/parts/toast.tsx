import { signal } from '@preact/signals';
import { useKeptFocus } from './kept-focus.ts';

interface Toast {
  readonly id: number;
  readonly text: string;
  readonly undo?: () => void;
}

/** How long a toast stays, in ms; one that can be undone stays longer. */
const stayMs = 6_000;
const undoMs = 12_000;

const toasts = signal<readonly Toast[]>([]);
let last = 0;

/** Tells that something was done, for a moment; with `undo` a button takes it back. */
export function tell(text: string, undo?: () => void): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value.slice(-3), { id, text, ...(undo ? { undo } : {}) }];
  setTimeout(() => close(id), undo ? undoMs : stayMs);
}

function close(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Where toasts are shown. A screen reader reads them when it has said what it is saying. */
export function Toasts() {
  const element = useKeptFocus<HTMLDivElement>();
  return (
    <div ref={element} class="toasts" role="status" aria-label="What was done">
      {toasts.value.map(({ id, text, undo }) => (
        <div class="toast" key={id}>
          <span>{text}</span>
          {undo && (
            <button
              type="button"
              onClick={() => {
                close(id);
                undo();
              }}
            >
              Undo
            </button>
          )}
          <button type="button" class="plain" aria-label={`Close: ${text}`} onClick={() => close(id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
