import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { Problem } from '../api/problem.ts';
import { addressWith } from './address.ts';
import { Button } from './button.tsx';
import { TextField } from './field.tsx';
import { Form } from './form.tsx';
import { fromLocalInput, toLocalInput } from './local-time.ts';
import { ProblemBox } from './problem-box.tsx';

/** What a list is filtered by: what somebody types, and what the address asks for. */
export interface Filters<N extends string> {
  readonly typed: Readonly<Record<N, string>>;
  readonly set: (name: N, value: string) => void;
  /** Of the address; empty: not asked for. */
  readonly asked: Readonly<Record<N, string>>;
  /** Puts what was typed into the address, and so into the list, from its first page on. */
  readonly find: () => void;
  readonly clear: () => void;
}

/** Filters by these names, as parameters of the screen's address. */
export function useFilters<const N extends string>(names: readonly N[]): Filters<N> {
  const { path, query, route, url } = useLocation();
  const asked = valuesOf(names, (name) => query[name] ?? '');
  const [typed, setTyped] = useState(asked);
  useEffect(() => setTyped(asked), [url]);
  return {
    typed,
    asked,
    set: (name, value) => setTyped((before) => ({ ...before, [name]: value })),
    find: () => route(addressWith(path, {}, trimmed(typed))),
    clear: () => route(path),
  };
}

function valuesOf<N extends string>(names: readonly N[], read: (name: N) => string): Record<N, string> {
  const values: Partial<Record<N, string>> = {};
  for (const name of names) values[name] = read(name);
  return values as Record<N, string>;
}

const trimmed = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.trim()]));

/** Those that are asked for: parameters of a call. */
export function given<T extends Readonly<Record<string, string | undefined>>>(
  values: T,
): { [N in keyof T]?: NonNullable<T[N]> } {
  const asked: { [N in keyof T]?: NonNullable<T[N]> } = {};
  for (const name in values) {
    const value = values[name];
    if (value !== undefined && value !== '') asked[name] = value;
  }
  return asked;
}

export interface FilterFormProps {
  readonly filters: Pick<Filters<string>, 'asked' | 'find' | 'clear'>;
  /** What the service said of the filters in the address. */
  readonly problem: Problem | undefined;
  readonly retry: () => unknown;
  /** Fields, whose pointers are the parameters' names behind a slash. */
  readonly children: ComponentChildren;
}

/** Fields above a list, with what is wrong with them beside them. */
export function FilterForm({ filters, problem, retry, children }: FilterFormProps) {
  const filtered = Object.values(filters.asked).some((value) => value !== '');
  return (
    <search>
      <Form problem={problem} onSubmit={filters.find} label="Find">
        <div class="columns">{children}</div>
        <ProblemBox problem={problem} retry={retry} />
        <div class="actions">
          <Button submit>Find</Button>
          {filtered && (
            <Button kind="plain" onClick={filters.clear}>
              Show all
            </Button>
          )}
        </div>
      </Form>
    </search>
  );
}

/** An instant to filter by, in the reader's own zone. */
export function TimeFilter<N extends string>({
  filters,
  name,
  label,
}: {
  readonly filters: Filters<N>;
  readonly name: N;
  readonly label: string;
}) {
  return (
    <TextField
      label={label}
      pointer={`/${name}`}
      type="datetime-local"
      value={toLocalInput(filters.typed[name])}
      onChange={(text) => filters.set(name, fromLocalInput(text))}
    />
  );
}
