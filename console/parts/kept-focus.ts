import type { RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/** Puts the focus on the heading of the screen: what had it is not there any more. */
export function focusHeading(): void {
  document.querySelector<HTMLElement>('main h1')?.focus();
}

/**
 * For a part of a screen whose buttons go once they were used: where the one with the focus goes, the focus is on `next`,
 * or on the heading of the screen, and not nowhere.
 */
export function useKeptFocus<E extends HTMLElement>(next?: RefObject<HTMLElement | null>): RefObject<E | null> {
  const element = useRef<E>(null);
  // Before the part is drawn anew, and after.
  const isHere = () => element.current?.contains(document.activeElement) ?? false;
  const was = isHere();
  useLayoutEffect(() => {
    if (!was || isHere()) return;
    if (next?.current) next.current.focus();
    else focusHeading();
  });
  return element;
}
