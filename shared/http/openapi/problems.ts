import { z } from 'zod';
import { propertyReportSchema } from '../../accounts/properties/properties-form.ts';
import type { ProblemStatus } from './operation.ts';

/** `application/problem+json` (RFC 9457), as every route answers it. */
export const problemSchema = z
  .object({
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    errors: z
      .array(
        z.object({
          pointer: z.string().meta({ description: 'JSON pointer (RFC 6901) into the request; empty: all of it.' }),
          detail: z.string(),
        }),
      )
      .optional()
      .meta({ description: 'Of bad input: every mistake at once.' }),
    reference: z.string().optional().meta({ description: 'Finds the line of the log that says more.' }),
    report: z
      .array(propertyReportSchema)
      .optional()
      .meta({ description: 'Of an account in properties: what became of each.' }),
  })
  .meta({ id: 'Problem', description: 'Why a request was not carried out (RFC 9457).' });

interface ProblemEntry {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** The example's `detail`. */
  readonly detail: string;
  readonly pointer?: string;
}

/** Statuses of problems that any route may answer. */
export type CommonStatus = 400 | 401 | 403 | 408 | 415 | 500 | 503;

/** Each problem, by its status. */
export const problems: Readonly<Record<CommonStatus | ProblemStatus, ProblemEntry>> = {
  400: {
    name: 'BadRequest',
    title: 'Bad Request',
    description: 'The request has mistakes, unknown fields and parameters included. Nothing is stored.',
    detail: 'The request has mistakes.',
    pointer: '/acount',
  },
  401: {
    name: 'Unauthorized',
    title: 'Unauthorized',
    description:
      'No good function key: the answer of the Functions host, empty. With Entra sign-in: nobody is signed in.',
    detail: 'Sign-in is required.',
  },
  403: {
    name: 'Forbidden',
    title: 'Forbidden',
    description: 'With Entra sign-in: the caller does not have the app role.',
    detail: 'The caller does not have the app role Mailroom.Send.',
  },
  404: {
    name: 'NotFound',
    title: 'Not Found',
    description: 'There is no such thing.',
    detail: 'There is no account of this name.',
  },
  405: {
    name: 'MethodNotAllowed',
    title: 'Method Not Allowed',
    description: 'The path has other methods: `Allow` names them.',
    detail: 'This path takes GET only.',
  },
  408: {
    name: 'RequestTimeout',
    title: 'Request Timeout',
    description: 'The body stood still.',
    detail: 'No byte of the body came for 30 seconds.',
  },
  409: {
    name: 'Conflict',
    title: 'Conflict',
    description: 'Not in the state that things are in now.',
    detail: 'The account is disabled.',
  },
  410: {
    name: 'Gone',
    title: 'Gone',
    description: 'It was there, and is not kept any more.',
    detail: 'The message is not kept any more (OUTBOX_RETENTION_DAYS). Hand the mail in again.',
  },
  412: {
    name: 'PreconditionFailed',
    title: 'Precondition Failed',
    description: '`If-Match` or `If-None-Match` does not hold.',
    detail: 'It is not the version named by If-Match any more.',
  },
  413: {
    name: 'ContentTooLarge',
    title: 'Payload Too Large',
    description: 'The request is too large.',
    detail: 'The request body is larger than 1048576 bytes.',
  },
  415: {
    name: 'UnsupportedMediaType',
    title: 'Unsupported Media Type',
    description: 'The body has another content type, or a Content-Encoding.',
    detail: 'The body must be sent as Content-Type: application/json, in UTF-8.',
  },
  416: {
    name: 'RangeNotSatisfiable',
    title: 'Range Not Satisfiable',
    description: 'Nothing of the range is there.',
    detail: 'There are 18432 bytes.',
  },
  422: {
    name: 'UnprocessableContent',
    title: 'Unprocessable Entity',
    description: 'The Idempotency-Key came with another request before.',
    detail: 'The Idempotency-Key was used for another request.',
  },
  429: {
    name: 'TooManyRequests',
    title: 'Too Many Requests',
    description: 'As much mail of the account waits as may; `Retry-After` says when to come again.',
    detail: '1000 mails of the account wait already, as many as may (OUTBOX_MAX_WAITING).',
  },
  500: {
    name: 'InternalServerError',
    title: 'Internal Server Error',
    description: 'Something went wrong that is not for callers to know; the log says more.',
    detail: 'The request could not be processed.',
  },
  503: {
    name: 'ServiceUnavailable',
    title: 'Service Unavailable',
    description:
      'A part that the service needs did not do its work, or a setting is missing. The same may go well later.',
    detail: 'The service is not set up. Its log says what is wrong, at the reference.',
  },
};
