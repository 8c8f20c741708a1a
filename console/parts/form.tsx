import { type ComponentChildren, createContext } from 'preact';
import { useContext, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Mistake, Problem } from '../api/problem.ts';

interface Claims {
  readonly problem: Problem | undefined;
  /** Pointers that fields of the form show mistakes of, with how many fields do. */
  readonly claimed: Map<string, number>;
  readonly changed: () => void;
}

const FormContext = createContext<Claims>({ problem: undefined, claimed: new Map(), changed: () => undefined });

export interface FormProps {
  /** What the service said of what was sent last: each field shows its own mistakes, and the first has the focus. */
  readonly problem: Problem | undefined;
  /** What it finds wrong while somebody types: shown as well, where `problem` is not. Their focus stays where it is. */
  readonly found?: Problem | undefined;
  readonly onSubmit: () => unknown;
  readonly label?: string;
  readonly children: ComponentChildren;
}

/** A form whose fields show the mistakes that the service found, by their pointers. */
export function Form({ problem, found, onSubmit, label, children }: FormProps) {
  const element = useRef<HTMLFormElement>(null);
  const claimed = useRef(new Map<string, number>());
  const [version, setVersion] = useState(0);
  const claims = useMemo(
    () => ({ problem: problem ?? found, claimed: claimed.current, changed: () => setVersion((before) => before + 1) }),
    [problem, found, version],
  );
  useEffect(() => {
    if (problem) element.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [problem]);
  return (
    <form
      ref={element}
      aria-label={label}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void onSubmit();
      }}
    >
      <FormContext.Provider value={claims}>{children}</FormContext.Provider>
    </form>
  );
}

/** What is wrong with the field at `pointer`; its mistakes are then not told again at the end of the form. */
export function useMistake(pointer: string | undefined): string | undefined {
  const { problem, claimed, changed } = useContext(FormContext);
  useEffect(() => {
    if (pointer === undefined) return undefined;
    claimed.set(pointer, (claimed.get(pointer) ?? 0) + 1);
    changed();
    return () => {
      const left = (claimed.get(pointer) ?? 1) - 1;
      if (left === 0) claimed.delete(pointer);
      else claimed.set(pointer, left);
    };
  }, [pointer, claimed]);
  if (pointer === undefined) return undefined;
  const found = problem?.mistakes.filter((mistake) => mistake.pointer === pointer).map(({ detail }) => detail) ?? [];
  return found.length === 0 ? undefined : found.join('; ');
}

/** The mistakes of a problem that no field of the form shows. */
export function useUnclaimed(problem: Problem | undefined): readonly Mistake[] {
  const { claimed } = useContext(FormContext);
  return problem?.mistakes.filter(({ pointer }) => !claimed.has(pointer)) ?? [];
}
