import { useState } from 'preact/hooks';

/** What was typed and not saved yet, by the name of its form. In memory alone: passwords may be among it. */
const typed = new Map<string, unknown>();

const lossy = new Set<() => boolean>([() => typed.size > 0]);

/** Asks whoever closes the tab or loads another page while something would be lost. The browser has its own words. */
export function askBeforeLeaving(isSomethingLost: () => boolean): void {
  lossy.add(isSomethingLost);
}

/** Lets the page go with all that was typed, and asks nobody: whoever comes next is to see none of it. */
export function leaveAll(): void {
  typed.clear();
  lossy.clear();
}

addEventListener('beforeunload', (event) => {
  if ([...lossy].some((isSomethingLost) => isSomethingLost())) event.preventDefault();
});

/** Changes a value, or makes the next one of the one before. */
export type Change<T> = (next: T | ((before: T) => T)) => void;

/**
 * Like `useState`, for what somebody types: it is still there when they come back from another screen, until `forget` is
 * called with the name, or with what the name begins with.
 */
export function useKept<T>(name: string, first: T): readonly [T, Change<T>] {
  // Whoever keeps something by a name keeps things of one type by it.
  const [value, setValue] = useState<T>(() => (typed.has(name) ? (typed.get(name) as T) : first));
  const change: Change<T> = (next) =>
    setValue((before) => {
      const after = next instanceof Function ? next(before) : next;
      typed.set(name, after);
      return after;
    });
  return [value, change];
}

/** Whether something was typed into a form that is not saved yet. */
export function isKept(form: string): boolean {
  return [...typed.keys()].some((name) => isOf(form, name));
}

/** Forgets what was typed into a form: it is saved, or not wanted any more. */
export function forget(form: string): void {
  for (const name of typed.keys()) if (isOf(form, name)) typed.delete(name);
}

const isOf = (form: string, name: string) => name === form || name.startsWith(`${form} `);
