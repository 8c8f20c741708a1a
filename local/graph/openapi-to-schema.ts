import { z } from 'zod';

/**
 * OpenAPI 3.0 schemas as JSON Schema (draft 2019-09). Beyond the difference in dialect (`nullable`, discriminators),
 * objects are closed: a property that a type does not have is a mistake, only annotations (`@odata.type`) may be added.
 * Where the document itself says `additionalProperties: true` it stays so, except on messages: Graph calls them open,
 * while every property that a mail client may use is listed.
 */

export type JsonSchema = Readonly<Record<string, unknown>>;

const objectSchema = z.record(z.string(), z.unknown());
const refPrefix = '#/components/schemas/';
/** Keywords of OpenAPI that say nothing to a validator. */
const dropped = new Set(['nullable', 'discriminator', 'title', 'description', 'example', 'default']);
const annotations = { '@': {} };

/** The components of a document as one schema with `$defs`; `rootId` is its `$id`. */
export function componentsSchema(components: Readonly<Record<string, unknown>>, rootId: string): JsonSchema {
  const schemas = new Map(Object.entries(components).map(([name, value]) => [name, objectSchema.parse(value)]));
  const definitions: Record<string, JsonSchema> = {};
  for (const [name, schema] of schemas) {
    definitions[name] = asObject(convert(schema, rootId, true));
    definitions[closedName(name)] = closed(name, schema, rootId);
  }
  return { $id: rootId, $defs: definitions };
}

/** Any schema of the document outside its components; its references lead to `rootId`. */
export function inlineSchema(schema: unknown, rootId: string): JsonSchema {
  return asObject(convert(schema, rootId, false));
}

function closedName(name: string): string {
  return `${name}.closed`;
}

/** `inBase`: within a component's own `allOf`, where a reference means the open form of its base type. */
function convert(value: unknown, rootId: string, inBase: boolean): unknown {
  if (Array.isArray(value)) return value.map((one) => convert(one, rootId, inBase));
  const parsed = objectSchema.safeParse(value);
  if (!parsed.success) return value;
  const schema = parsed.data;
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.slice(refPrefix.length);
    return { $ref: `${rootId}#/$defs/${inBase ? name : closedName(name)}` };
  }
  const isNullable = schema.nullable === true;
  // Written for "or null" beside a reference; taken literally it would let any object through.
  if (isNullable && schema.type === 'object' && !schema.properties && !schema.additionalProperties) {
    return { type: 'null' };
  }
  const result: Record<string, unknown> = {};
  for (const [key, one] of Object.entries(schema)) {
    if (dropped.has(key) || key.startsWith('x-')) continue;
    if (key === 'additionalProperties' && one === true && schema.title === 'message') continue;
    if (key === 'properties') {
      result.properties = Object.fromEntries(
        Object.entries(objectSchema.parse(one)).map(([name, inner]) => [name, convert(inner, rootId, false)]),
      );
    } else if (key === 'type' && isNullable) {
      result.type = [one, 'null'];
    } else if (key === 'enum' && isNullable && Array.isArray(one)) {
      result.enum = [...one, null];
    } else {
      result[key] = key === 'enum' || key === 'required' ? one : convert(one, rootId, inBase && key === 'allOf');
    }
  }
  return result;
}

/** The form that bodies and properties refer to: no unknown properties, and the subtype that `@odata.type` names. */
function closed(name: string, schema: Readonly<Record<string, unknown>>, rootId: string): JsonSchema {
  const open = { $ref: `${rootId}#/$defs/${name}` };
  if (schema.type !== 'object' && !schema.allOf) return open;
  if (schema.additionalProperties === true) return open;
  const itself = { allOf: [open], patternProperties: annotations, unevaluatedProperties: false };
  const mapping = mappingOf(schema);
  if (mapping.length === 0) return itself;
  const named = (values: readonly string[]) => ({
    required: ['@odata.type'],
    properties: { '@odata.type': { enum: values } },
  });
  return {
    allOf: [
      ...mapping.map(([value, target]) => ({
        if: { not: named([value]) },
        else: { $ref: `${rootId}#/$defs/${closedName(target)}` },
      })),
      { if: named(mapping.map(([value]) => value)), else: itself },
    ],
  };
}

/** Values of `@odata.type` with the component each names. */
function mappingOf(schema: Readonly<Record<string, unknown>>): readonly (readonly [string, string])[] {
  const parts = [schema, ...(Array.isArray(schema.allOf) ? schema.allOf : [])];
  for (const part of parts) {
    const parsed = z.object({ discriminator: z.object({ mapping: z.record(z.string(), z.string()) }) }).safeParse(part);
    if (!parsed.success) continue;
    return Object.entries(parsed.data.discriminator.mapping).map(([value, ref]) => [
      value,
      ref.slice(refPrefix.length),
    ]);
  }
  return [];
}

function asObject(value: unknown): JsonSchema {
  return objectSchema.parse(value);
}
