import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useMistake } from './form.tsx';

export interface MoreProps {
  /** What is inside, for who looks for it. */
  readonly summary: string;
  /** Something inside is not as it is by itself: it is seen from the start. */
  readonly used: boolean;
  /** Where mistakes of the fields inside point; the same ones each time. */
  readonly pointers: readonly string[];
  /** Something is wrong inside that no pointer tells. */
  readonly wrong?: boolean;
  readonly children: ComponentChildren;
}

/** Fields that few people need: closed until somebody asks for them, or one of them is wrong. */
export function More({ summary, used, pointers, wrong = false, children }: MoreProps) {
  const [open, setOpen] = useState(used);
  const mistaken = pointers.map(useMistake).some((mistake) => mistake !== undefined) || wrong;
  useEffect(() => {
    if (mistaken) setOpen(true);
  }, [mistaken]);
  // It never closes by itself: somebody may be typing in it.
  return (
    <details open={open} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{summary}</summary>
      {children}
    </details>
  );
}
