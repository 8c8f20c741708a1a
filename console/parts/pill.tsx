import type { ComponentChildren } from 'preact';

/** A state in a word. Its colour says nothing that the word does not say. */
export function Pill({
  kind,
  children,
}: {
  readonly kind: 'good' | 'bad' | 'warn' | 'idle';
  readonly children: ComponentChildren;
}) {
  return <span class={`pill ${kind}`}>{children}</span>;
}
