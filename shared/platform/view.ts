import type { z } from 'zod';

/** The same with nothing in it that can be changed. */
type DeepReadonly<T> = T extends readonly (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/**
 * What the code answers, by the schema that describes it to callers in `GET /openapi.json`: the type and the description
 * are one.
 */
export type View<S extends z.ZodType> = DeepReadonly<z.output<S>>;
