import { readFileSync } from 'node:fs';
import { Ajv2019, type ValidateFunction } from 'ajv/dist/2019.js';
import { z } from 'zod';
import { componentsSchema, inlineSchema } from './openapi-to-schema.ts';
import { matchTemplate } from './path.ts';
import { preferProblems } from './prefer.ts';
import { supplementPaths } from './supplement.ts';

/** Microsoft's description of the service, as the judge of every request and every answer. */

const referenceSchema = z.object({ $ref: z.string() });
const parameterSchema = z.looseObject({
  name: z.string(),
  in: z.enum(['path', 'query', 'header']),
  schema: z.record(z.string(), z.unknown()),
});
const contentSchema = z.record(z.string(), z.looseObject({ schema: z.unknown().optional() }));
const responseSchema = z.looseObject({ content: contentSchema.optional() });
const operationSchema = z.looseObject({
  operationId: z.string(),
  parameters: z.array(z.union([referenceSchema, parameterSchema])).optional(),
  requestBody: z.looseObject({ content: contentSchema }).optional(),
  responses: z.record(z.string(), z.union([referenceSchema, responseSchema])),
});
const documentSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
  components: z.looseObject({
    schemas: z.record(z.string(), z.unknown()),
    parameters: z.record(z.string(), parameterSchema),
    responses: z.record(z.string(), responseSchema),
  }),
});

type Parameter = z.output<typeof parameterSchema>;
type Check = (value: unknown) => readonly string[];

/** Answers by status, or by class as `4XX`; each with the media types it may have and what checks a JSON body. */
type Answers = ReadonlyMap<string, ReadonlyMap<string, Check | undefined>>;

export interface Operation {
  readonly id: string;
  readonly method: string;
  /** As in the document, below `/v1.0`. */
  readonly template: string;
  readonly query: ReadonlyMap<string, Parameter>;
  readonly headers: ReadonlyMap<string, Parameter>;
  /** Media types of the request body; none: no body is taken. */
  readonly body: ReadonlyMap<string, Check | undefined>;
  /** Names of the properties of a JSON body, for actions whose parameters are matched without letter case. */
  readonly actionParameters: readonly string[];
  readonly answers: Answers;
}

export interface Found {
  readonly operation: Operation;
  readonly parameters: Readonly<Record<string, string>>;
}

const rootId = 'graph';
const methods = ['get', 'put', 'post', 'patch', 'delete'];
/** Enough to see what is wrong. */
const maxProblems = 5;

let known: readonly Operation[] | undefined;

/** Every operation of the subset, read once in a process. */
export function graphOperations(): readonly Operation[] {
  known ??= readOperations();
  return known;
}

/** The operation of a request; `wrongMethod` where only the path is known. */
export function findOperation(
  operations: readonly Operation[],
  method: string,
  segments: readonly string[],
): Found | 'wrongMethod' | undefined {
  let pathKnown = false;
  for (const operation of operations) {
    const match = matchTemplate(operation.template, segments);
    if (!match) continue;
    if (operation.method === method) return { operation, parameters: match.parameters };
    pathKnown = true;
  }
  return pathKnown ? 'wrongMethod' : undefined;
}

/** What is wrong with the query options and headers of a request. Names and places only, never values. */
export function queryProblems(
  operation: Operation,
  query: URLSearchParams,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): readonly string[] {
  const problems: string[] = [];
  for (const name of new Set(query.keys())) {
    const parameter = operation.query.get(name);
    if (!parameter) problems.push(`query option ${name.slice(0, 40)} is not one of this operation`);
    else if (query.getAll(name).length > 1) problems.push(`query option ${name} is given twice`);
    else if (!fitsSimply(parameter.schema, query.get(name) ?? '')) problems.push(`query option ${name} is not valid`);
  }
  for (const [name, parameter] of operation.headers) {
    const value = headers[name];
    if (typeof value === 'string' && !fitsSimply(parameter.schema, value)) problems.push(`header ${name} is not valid`);
  }
  if (operation.headers.has('prefer')) problems.push(...preferProblems(headers.prefer));
  return problems;
}

/** What is wrong with an answer of ours; `body` only of JSON. */
export function answerProblems(
  operation: Operation,
  status: number,
  mediaType: string | undefined,
  body: unknown,
): readonly string[] {
  const answer = operation.answers.get(String(status)) ?? operation.answers.get(`${Math.floor(status / 100)}XX`);
  if (!answer) return [`status ${status} is not one of this operation`];
  if (mediaType === undefined) return answer.size === 0 || status >= 400 ? [] : ['the body is missing'];
  const check = answer.get(mediaType) ?? answer.get('*/*');
  if (!check && !answer.has(mediaType) && !answer.has('*/*'))
    return [`media type ${mediaType} is not one of ${status}`];
  return check ? check(body) : [];
}

function readOperations(): readonly Operation[] {
  const text = readFileSync(new URL('./graph-mail-openapi.json', import.meta.url), 'utf8');
  const document = documentSchema.parse(JSON.parse(text));
  const ajv = new Ajv2019({ strict: false, formats });
  ajv.addSchema(componentsSchema(document.components.schemas, rootId));
  const { parameters, responses } = document.components;

  const parameterOf = (one: z.output<typeof referenceSchema> | Parameter): Parameter => {
    if (!('$ref' in one) || typeof one.$ref !== 'string') return parameterSchema.parse(one);
    const found = parameters[one.$ref.split('/').at(-1) ?? ''];
    if (!found) throw new Error(`Unknown parameter ${one.$ref}`);
    return found;
  };
  const checks = (content: z.output<typeof contentSchema> | undefined) =>
    new Map(
      Object.entries(content ?? {}).map(([type, { schema }]) => [
        type,
        type === 'application/json' && schema !== undefined
          ? checkOf(ajv.compile(inlineSchema(schema, rootId)))
          : undefined,
      ]),
    );

  return [...Object.entries(document.paths), ...Object.entries(supplementPaths)].flatMap(([template, item]) =>
    Object.entries(item)
      .filter(([method]) => methods.includes(method))
      .map(([method, value]) => {
        const operation = operationSchema.parse(value);
        const all = (operation.parameters ?? []).map(parameterOf);
        const inPlace = (place: Parameter['in']) => all.filter((one) => one.in === place);
        return {
          id: operation.operationId,
          method: method.toUpperCase(),
          template,
          query: new Map(inPlace('query').map((one) => [one.name, one])),
          headers: new Map(inPlace('header').map((one) => [one.name.toLowerCase(), one])),
          body: checks(operation.requestBody?.content),
          actionParameters: actionParameters(operation.requestBody?.content['application/json']?.schema),
          answers: new Map(
            Object.entries(operation.responses).map(([status, one]) => {
              const found = '$ref' in one ? responses[String(one.$ref).split('/').at(-1) ?? ''] : one;
              return [status, checks(responseSchema.parse(found).content)];
            }),
          ),
        };
      }),
  );
}

function actionParameters(schema: unknown): readonly string[] {
  const parsed = z.object({ properties: z.record(z.string(), z.unknown()) }).safeParse(schema);
  return parsed.success ? Object.keys(parsed.data.properties) : [];
}

function checkOf(validate: ValidateFunction): Check {
  return (value) => {
    if (validate(value)) return [];
    return (validate.errors ?? []).slice(0, maxProblems).map(({ instancePath, message, params }) => {
      const property: unknown = params.unevaluatedProperty ?? params.additionalProperty;
      return `${instancePath || 'body'} ${message ?? ''}${typeof property === 'string' ? `: ${property}` : ''}`;
    });
  };
}

const formats = {
  byte: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  'date-time': (text: string) => !Number.isNaN(Date.parse(text)),
  date: /^\d{4}-\d\d-\d\d$/,
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
  int32: true,
  int64: true,
  double: true,
} as const;

/** Query options and headers are text; the document describes them by a few simple types. */
function fitsSimply(schema: Readonly<Record<string, unknown>>, text: string): boolean {
  switch (schema.type) {
    case 'integer': {
      const value = Number(text);
      const { minimum, maximum } = schema;
      return (
        /^\d+$/.test(text) &&
        (typeof minimum !== 'number' || value >= minimum) &&
        (typeof maximum !== 'number' || value <= maximum)
      );
    }
    case 'boolean':
      return text === 'true' || text === 'false';
    case 'array':
      return text.trim() !== '';
    default:
      if (Array.isArray(schema.enum)) return schema.enum.includes(text);
      return schema.format !== 'uuid' || formats.uuid.test(text);
  }
}
