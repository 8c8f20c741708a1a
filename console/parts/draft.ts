import { useKept } from './kept.ts';

/** What a request is made of. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** What is at a JSON pointer (RFC 6901) without escapes; undefined: nothing is. */
export function at(value: Json | undefined, pointer: string): Json | undefined {
  return steps(pointer).reduce<Json | undefined>(
    (found, step) => (isObject(found) && Object.hasOwn(found, step) ? found[step] : undefined),
    value,
  );
}

/** The same value with another one at the pointer, in objects that are made where there are none; undefined takes it away. */
export function withAt(value: Json | undefined, pointer: string, next: Json | undefined): Json {
  const [step, ...rest] = steps(pointer);
  if (step === undefined) return next ?? {};
  const { [step]: before, ...others } = isObject(value) ? value : {};
  const inner = rest.length === 0 ? next : withAt(before, `/${rest.join('/')}`, next);
  return inner === undefined ? others : { ...others, [step]: inner };
}

const steps = (pointer: string) => pointer.split('/').slice(1);

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A request while somebody makes it, by the pointers that its mistakes have. */
export interface Draft {
  readonly value: Json;
  readonly get: (pointer: string) => Json | undefined;
  /** As text for a field: a number in digits, nothing for what is not there. */
  readonly text: (pointer: string) => string;
  readonly set: (pointer: string, next: Json | undefined) => void;
  /** Several changes at once. */
  readonly setAll: (changes: Readonly<Record<string, Json | undefined>>) => void;
  readonly replace: (value: Json) => void;
}

/** Keeps a draft from its first value on, by the name of its form (`useKept`). */
export function useDraft(form: string, first: Json): Draft {
  const [value, setValue] = useKept<Json>(form, first);
  const setAll = (changes: Readonly<Record<string, Json | undefined>>) =>
    setValue((before) =>
      Object.entries(changes).reduce<Json>((changed, [pointer, next]) => withAt(changed, pointer, next), before),
    );
  const get = (pointer: string) => at(value, pointer);
  return {
    value,
    get,
    text: (pointer) => {
      const found = get(pointer);
      return typeof found === 'string' || typeof found === 'number' ? String(found) : '';
    },
    set: (pointer, next) => setAll({ [pointer]: next }),
    setAll,
    replace: setValue,
  };
}
