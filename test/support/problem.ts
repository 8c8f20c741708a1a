import { STATUS_CODES } from 'node:http';
import { expect } from 'vitest';
import { z } from 'zod';
import type { Answer } from './mailroom.ts';

const problemSchema = z.strictObject({
  title: z.string().min(1),
  status: z.int(),
  detail: z.string().min(1),
  /** Finds the line of the log that says more. */
  reference: z.string().optional(),
  errors: z
    .array(z.strictObject({ pointer: z.string().regex(/^(\/|$)/), detail: z.string().min(1) }))
    .min(1)
    .optional(),
  /** Of an account in properties. */
  report: z.array(z.unknown()).optional(),
});

export interface ReadProblem {
  readonly detail: string;
  /** Where the mistakes are, sorted. */
  readonly pointers: readonly string[];
  /** What is wrong, by pointer. */
  readonly mistakes: Readonly<Record<string, string>>;
}

/** Reads an answer that must be a problem (RFC 9457) of this status, in the one form all of them have. */
export function problem(answer: Answer, status: number): ReadProblem {
  expect({ status: answer.status, body: answer.bytes.toString('utf8', 0, 500) }).toMatchObject({ status });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  const { title, status: reported, detail, errors = [] } = problemSchema.parse(answer.json);
  // Bad input is always named by where it is.
  if (status === 400) expect(errors).not.toEqual([]);
  expect({ title, reported }).toEqual({ title: STATUS_CODES[status], reported: status });
  return {
    detail,
    pointers: errors.map(({ pointer }) => pointer).sort(),
    mistakes: Object.fromEntries(errors.map((error) => [error.pointer, error.detail])),
  };
}
