import { z } from 'zod';
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiOverrideContext,
  type ZodOpenApiPathItemObject,
  type ZodOpenApiResponseObject,
} from 'zod-openapi';
import type { Content, Operation, SuccessAnswer } from './operation.ts';
import { operations } from './operations.ts';
import { answerHeaders, pathParameters, requestHeaders } from './parameters.ts';
import { type CommonStatus, problemSchema, problems } from './problems.ts';

type Chapter = keyof typeof operations;

const chapters: Readonly<Record<Chapter, string>> = {
  Sending: 'Hand in mail, follow it, cancel it, try it again.',
  Accounts: 'How mail is sent and fetched, and for whom.',
  Webhook: 'How events are delivered to the receiver that an account names.',
  Importing: 'Fetch what has arrived.',
  Assets: 'What imports left of mail.',
  Quarantine: 'Mail that could not be checked in.',
  Stats: 'What came and went, per day.',
  Health: 'Whether the service works.',
  Description: 'This description.',
  Console: 'A page in a browser, for those who would rather look.',
};

const intro = `Sends mail, and makes stored assets of the mail that arrives, each exactly once.

Errors are \`application/problem+json\` with every mistake of a request at once. A field or a query parameter that nobody knows is a mistake. Lists answer \`{ items, continue? }\`, newest first. Instants are RFC 3339 in UTC.

Callers need a function key in \`x-functions-key\`, or in the query as \`code\`, which ends in logs. Where callers sign in with Entra ID, each operation says which app role it needs; \`Mailroom.Admin\` may do everything.`;

/** Every route of `operations` as one OpenAPI 3.1 document. Throws where a place of a route has no description. */
export function openApiDocument(version: string): ReturnType<typeof createDocument> {
  const responses = problemResponses();
  const paths: Record<string, ZodOpenApiPathItemObject> = {};
  for (const [chapter, entries] of Object.entries(operations)) {
    for (const [name, entry] of Object.entries<Operation>(entries)) {
      const [method = '', path = ''] = entry.route.split(' ');
      paths[path] = { ...paths[path], [method.toLowerCase()]: operationOf(name, chapter, entry, responses) };
    }
  }
  return createDocument(
    {
      openapi: '3.1.1',
      info: { title: 'Mailroom', version, description: intro, license: { name: 'MIT', identifier: 'MIT' } },
      servers: [{ url: '/api' }],
      tags: Object.entries(chapters).map(([chapter, description]) => ({ name: chapter, description })),
      paths,
      components: {
        securitySchemes: {
          functionKey: { type: 'apiKey', in: 'header', name: 'x-functions-key', description: 'A key of the function.' },
          functionKeyInQuery: {
            type: 'apiKey',
            in: 'query',
            name: 'code',
            description: 'The same in the query, which ends in logs.',
          },
        },
      },
    },
    { override: asCallersReadIt },
  );
}

/**
 * Without what a reader gains nothing by: patterns of formats, and the limits of JavaScript's whole numbers. Answers are
 * open: a later version may add fields.
 */
function asCallersReadIt({ jsonSchema, io }: ZodOpenApiOverrideContext): void {
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  if (jsonSchema.format === 'includes') delete jsonSchema.format;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
}

type ProblemResponses = Readonly<Record<number, ZodOpenApiResponseObject>>;

/** One response for each status, which all routes share. */
function problemResponses(): ProblemResponses {
  return Object.fromEntries(
    Object.entries(problems).map(([status, { name, title, description, detail, pointer }]) => {
      const errors = pointer === undefined ? {} : { errors: [{ pointer, detail: 'unknown field' }] };
      const example = { title, status: Number(status), detail, ...errors };
      return [
        status,
        { id: name, description, content: { 'application/problem+json': { schema: problemSchema, example } } },
      ];
    }),
  );
}

function operationOf(
  name: string,
  chapter: string,
  entry: Operation,
  responses: ProblemResponses,
): ZodOpenApiOperationObject {
  const { needs, summary, description, query, headers = [], body, answers } = entry;
  const role = needs === 'key' || needs === 'nothing' ? [] : [`With Entra sign-in: \`${needs}\`.`];
  const places = [...entry.route.matchAll(/\{(\w+)\}/g)].map(([, place = '']) => place);
  return {
    operationId: name,
    tags: [chapter],
    summary,
    description: [...(description === undefined ? [] : [description]), ...role].join('\n\n') || summary,
    security: needs === 'nothing' ? [{}] : [{ functionKey: [] }, { functionKeyInQuery: [] }],
    requestParams: {
      path: z.object(Object.fromEntries(places.map((place) => [place, placeOf(place)]))),
      ...(query ? { query } : {}),
      header: named(requestHeaders, headers),
    },
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: body.optional !== true,
            content: contentOf(body.content),
            ...(body.description === undefined ? {} : { description: body.description }),
          },
        }),
    responses: {
      ...Object.fromEntries(Object.entries(responses).filter(([status]) => problemsOf(entry).includes(Number(status)))),
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, responseOf(answer)])),
    },
  };
}

/** Of every route, by what the code does before and around its handler (functions/app/answer.ts). */
function problemsOf({ needs, body, problems: own = [] }: Operation): readonly number[] {
  const reading: readonly CommonStatus[] = body ? [408] : [];
  const known: readonly CommonStatus[] = needs === 'nothing' || needs === 'key' ? [] : [403, 415, 503];
  // Whoever takes something in needs the settings, and storage, for it.
  const open: readonly CommonStatus[] = needs === 'nothing' && body !== undefined ? [503] : [];
  return [400, ...(needs === 'nothing' ? [] : [401]), ...known, ...open, ...reading, ...own, 500];
}

function placeOf(name: string): z.ZodType {
  const schema = pathParameters[name];
  if (!schema) throw new Error(`shared/http/openapi/parameters.ts does not describe {${name}}`);
  return schema;
}

function contentOf(content: Readonly<Record<string, Content>>) {
  return Object.fromEntries(
    Object.entries(content).map(([type, { schema, example }]) => [
      type,
      { schema, ...(example === undefined ? {} : { example }) },
    ]),
  );
}

function responseOf({ description, content, headers }: SuccessAnswer): ZodOpenApiResponseObject {
  return {
    description,
    ...(content ? { content: contentOf(content) } : {}),
    ...(headers ? { headers: named(answerHeaders, headers) } : {}),
  };
}

/** Headers under the names that HTTP has for them. */
function named<K extends string>(
  known: Readonly<Record<K, { readonly name: string; readonly schema: z.ZodType }>>,
  wanted: readonly K[],
): z.ZodObject {
  return z.object(Object.fromEntries(wanted.map((each) => [known[each].name, known[each].schema])));
}
