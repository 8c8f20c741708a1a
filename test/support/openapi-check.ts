import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { z } from 'zod';

const built = new URL('../../dist/openapi.json.gz', import.meta.url);

const referenceSchema = z.object({ $ref: z.string() });
const contentSchema = z.record(z.string(), z.looseObject({})).optional();
const responseSchema = z.object({
  headers: z.record(z.string(), z.looseObject({ required: z.boolean().optional() })).optional(),
  content: contentSchema,
});
const operationSchema = z.object({
  operationId: z.string(),
  parameters: z.array(z.object({ in: z.string(), name: z.string() })).default([]),
  requestBody: z.object({ content: z.record(z.string(), z.looseObject({})) }).optional(),
  responses: z.record(z.string(), z.union([referenceSchema, responseSchema])),
});
const documentSchema = z.object({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.object({ responses: z.record(z.string(), responseSchema) }),
});

/** A call and its answer, as the test saw them. */
export interface Exchange {
  readonly method: string;
  /** With `/api`, and the query. */
  readonly path: string;
  readonly contentType?: string | undefined;
  /** What was sent as JSON. */
  readonly body?: unknown;
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly json: unknown;
}

/** `{path}` may have slashes; OpenAPI has no way to say so. */
const placeOf = (_: string, name: string) => (name === 'path' ? '(?<path>.+)' : `(?<${name}>[^/]+)`);

/** What the Functions host reads of a query itself. */
const hostParameters: ReadonlySet<string> = new Set(['code', 'clientid']);

/** Holds calls and answers against an OpenAPI document. */
export class OpenApiCheck {
  readonly #ajv = new Ajv2020({ strict: false, validateSchema: false, logger: false });
  readonly #document: z.output<typeof documentSchema>;
  readonly #routes: readonly { readonly path: string; readonly pattern: RegExp }[];

  /** By default that of the build. */
  constructor(document: unknown = JSON.parse(gunzipSync(readFileSync(built)).toString())) {
    this.#document = documentSchema.parse(document);
    addFormats.default(this.#ajv);
    this.#ajv.addSchema(closed(document), 'document');
    const places = (path: string) => path.split('{').length;
    this.#routes = Object.keys(this.#document.paths)
      .sort((a, b) => places(a) - places(b))
      .map((path) => ({ path, pattern: new RegExp(`^/api${path.replace(/\{(\w+)\}/g, placeOf)}/?$`, 'i') }));
  }

  /** Throws an error with route and pointer where the document says otherwise. */
  check(exchange: Exchange): void {
    const mistake = this.#mistake(exchange);
    if (mistake !== undefined) {
      const { method, path, status } = exchange;
      throw new Error(`openapi.json does not describe ${method} ${path} with its answer ${status}: ${mistake}`);
    }
  }

  #mistake(exchange: Exchange): string | undefined {
    const { method, path, status } = exchange;
    const { pathname, searchParams } = new URL(path, 'http://mailroom');
    const route = this.#routes.find(({ pattern }) => pattern.test(pathname));
    const operation = route && this.#document.paths[route.path]?.[method.toLowerCase()];
    if (!route || !operation) {
      return status === 404 || status === 405 ? undefined : 'there is no such route';
    }
    const at = ['paths', route.path, method.toLowerCase()];
    const answer = this.#answerMistake(exchange, operation, at);
    if (answer !== undefined || status >= 300) return answer;
    const given = {
      path: Object.entries(route.pattern.exec(pathname)?.groups ?? {}).map(([name, text]) => [name, decoded(text)]),
      query: [...searchParams].filter(([name]) => !hostParameters.has(name.toLowerCase())),
    } as const;
    for (const [place, values] of Object.entries(given)) {
      for (const [name = '', text = ''] of values) {
        const index = operation.parameters.findIndex((each) => each.in === place && each.name === name);
        if (index < 0) return `${place} parameter ${name} is not there`;
        const mistake = this.#parameterMistake([...at, 'parameters', String(index), 'schema'], text);
        if (mistake !== undefined) return `${place} parameter ${name} ${mistake}`;
      }
    }
    return this.#requestMistake(exchange, operation, at);
  }

  #answerMistake(
    { status, headers, bytes, json }: Exchange,
    { responses }: z.output<typeof operationSchema>,
    at: readonly string[],
  ): string | undefined {
    const found = responses[status];
    if (!found) return 'there is no such status';
    const name = '$ref' in found ? found.$ref.slice(found.$ref.lastIndexOf('/') + 1) : undefined;
    const response = '$ref' in found ? this.#document.components.responses[name ?? ''] : found;
    const place = name === undefined ? [...at, 'responses', String(status)] : ['components', 'responses', name];
    const missing = Object.entries(response?.headers ?? {}).find(
      ([each, { required }]) => required && !headers.has(each),
    );
    if (missing) return `header ${missing[0]} is missing`;
    // The host's own answer to a key that is none is empty.
    // A download of any type may be an empty file.
    const mayBeEmpty = status >= 300 || response?.content === undefined || '*/*' in response.content;
    if (bytes.length === 0) return mayBeEmpty ? undefined : 'the body is empty';
    const type = mediaType(headers.get('content-type'));
    const media = [type, '*/*'].find((each) => response?.content?.[each]);
    if (media === undefined) return `the body is ${type}`;
    if (!/json$/.test(media)) return undefined;
    return this.#schemaMistake([...place, 'content', media, 'schema'], json, 'answer');
  }

  #requestMistake(
    { body, contentType = 'application/json' }: Exchange,
    { requestBody }: z.output<typeof operationSchema>,
    at: readonly string[],
  ): string | undefined {
    if (body === undefined || !requestBody) return undefined;
    const type = mediaType(contentType);
    const taken = [type, ...(/\+json$/.test(type) ? ['application/json'] : []), '*/*'];
    const media = taken.find((each) => requestBody.content[each]);
    if (media === undefined) return `the request's body is ${type}`;
    if (!/json$/.test(media)) return undefined;
    // As it was sent: without what JSON has no word for.
    const sent: unknown = JSON.parse(JSON.stringify(body));
    return this.#schemaMistake([...at, 'requestBody', 'content', media, 'schema'], sent, 'request');
  }

  #parameterMistake(place: readonly string[], text: string): string | undefined {
    const number = Number(text);
    if (text !== '' && Number.isFinite(number) && this.#validator(place)(number)) return undefined;
    return this.#schemaMistake(place, text, 'value');
  }

  #schemaMistake(place: readonly string[], value: unknown, what: string): string | undefined {
    const validate = this.#validator(place);
    if (validate(value)) return undefined;
    const [first] = (validate.errors ?? []).toSorted((a, b) => b.instancePath.length - a.instancePath.length);
    return `${what} ${first?.instancePath ?? ''} ${first?.message ?? ''} ${JSON.stringify(first?.params ?? {})}`;
  }

  #validator(place: readonly string[]): ValidateFunction {
    const pointer = place.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    const validate = this.#ajv.getSchema(`document#/${pointer}`);
    if (!validate) throw new Error(`openapi.json has no ${pointer}`);
    return validate;
  }
}

function mediaType(header: string | null): string {
  return (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The document says that answers may have more fields in a later version; this version has none that it does not name. */
function closed(value: unknown): object {
  const close = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(close);
    if (typeof node !== 'object' || node === null) return node;
    const copy: Record<string, unknown> = Object.fromEntries(
      Object.entries(node).map(([name, each]) => [name, close(each)]),
    );
    if (copy.type === 'object' && copy.properties !== undefined) copy.additionalProperties ??= false;
    return copy;
  };
  const made = close(value);
  if (typeof made !== 'object' || made === null) throw new TypeError('An OpenAPI document is an object.');
  return made;
}
