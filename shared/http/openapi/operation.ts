import { z } from 'zod';
import type { Role } from '../authorize.ts';

/** Headers of requests that routes read, but for those of content. */
export type RequestHeader = 'idempotencyKey' | 'prefer' | 'ifMatch' | 'ifNoneMatch' | 'range' | 'ifRange';

/** Headers of answers that callers go by. */
export type AnswerHeader =
  | 'location'
  | 'operationLocation'
  | 'preferenceApplied'
  | 'etag'
  | 'contentRange'
  | 'remoteContent';

/** Statuses of problems that a route answers beside those of all routes. */
export type ProblemStatus = 404 | 405 | 409 | 410 | 412 | 413 | 416 | 422 | 429;

/** What a request or an answer holds. */
export interface Content {
  readonly schema: z.ZodType;
  readonly example?: unknown;
}

/** An answer that is no problem. */
export interface SuccessAnswer {
  readonly description: string;
  /** Absent: it has no body. */
  readonly content?: Readonly<Record<string, Content>>;
  /** Those that it always has. */
  readonly headers?: readonly AnswerHeader[];
}

/** The body that a route takes. */
export interface RequestBody {
  readonly description?: string;
  readonly optional?: true;
  readonly content: Readonly<Record<string, Content>>;
}

/** What `GET /openapi.json` says of a route. Its function has the same name. */
export interface Operation {
  /** As the function registers it, without `api` and constraints. */
  readonly route: `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`;
  /** Who may call: a role where Entra signs in, else any key of the function; `key`: any key in either case. */
  readonly needs: Role | 'key' | 'nothing';
  readonly summary: string;
  readonly description?: string;
  /** The schema that the handler parses the query with. */
  readonly query?: z.ZodObject;
  readonly headers?: readonly RequestHeader[];
  readonly body?: RequestBody;
  readonly answers: Readonly<Record<number, SuccessAnswer>>;
  readonly problems?: readonly ProblemStatus[];
}

/** JSON by a schema, with an example that the compiler holds to it. */
export function json<S extends z.ZodType>(schema: S, example: z.input<S>): Readonly<Record<string, Content>> {
  return { 'application/json': { schema, example } };
}

/** A page of a list (design section 3). */
export function list<S extends z.ZodType>(item: S, example: z.input<S>): Readonly<Record<string, Content>> {
  const schema = z.object({
    items: z.array(item),
    continue: z
      .string()
      .optional()
      .meta({ description: 'Given back as `continue=` it brings the next page; absent on the last one.' }),
  });
  return { 'application/json': { schema, example: { items: [example] } } };
}

/** Bytes of a media type. */
export function bytes(mediaType: string, description: string): Readonly<Record<string, Content>> {
  return { [mediaType]: { schema: z.string().meta({ description, override: { format: 'binary' } }) } };
}

/** Answers of bytes that a caller saves: whole, a part, or none where the caller has them. */
export const downloadAnswers = (mediaType: string, description: string) =>
  ({
    200: { description: 'All of it.', content: bytes(mediaType, description), headers: ['etag'] },
    206: {
      description: 'The part asked for.',
      content: bytes(mediaType, description),
      headers: ['etag', 'contentRange'],
    },
    304: { description: 'The caller has it.', headers: ['etag'] },
  }) as const;
