import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { useLocation } from 'preact-iso';

export interface PageProps {
  /** The heading, and the name of the browser's tab. */
  readonly title: string;
  /** Where it belongs: links above the heading, from the top down. */
  readonly above?: readonly { readonly name: string; readonly href: string }[];
  /** Buttons beside the heading. */
  readonly actions?: ComponentChildren;
  readonly children?: ComponentChildren;
}

let first = true;

/** A screen. After a navigation the focus is on its heading, so that a screen reader says where one is. */
export function Page({ title, above = [], actions, children }: PageProps) {
  // Another page of a list is another screen.
  const { query } = useLocation();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Mailroom`;
  }, [title]);
  useEffect(() => {
    if (!first) heading.current?.focus();
    first = false;
  }, [query.continue]);
  return (
    <>
      {above.length > 0 && (
        <nav class="above" aria-label="Above">
          {above.map(({ name, href }) => (
            <a key={href} href={href}>
              {name}
            </a>
          ))}
        </nav>
      )}
      <div class="heading">
        <h1 tabIndex={-1} ref={heading}>
          {title}
        </h1>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </>
  );
}

export interface SectionProps {
  readonly title: string;
  readonly actions?: ComponentChildren;
  readonly children?: ComponentChildren;
}

/** A part of a screen with a heading of its own. */
export function Section({ title, actions, children }: SectionProps) {
  return (
    <section>
      <div class="heading">
        <h2>{title}</h2>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </section>
  );
}
