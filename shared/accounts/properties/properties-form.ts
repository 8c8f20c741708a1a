import { z } from 'zod';
import type { Mistake } from '../../platform/refusal.ts';
import { toPointer } from '../../platform/validation.ts';
import { importSchema } from '../model.ts';
import { parsePropertiesText } from './properties-text.ts';

/** A configuration has some twenty lines; a dump of all that Jakarta Mail knows has two hundred. */
const maxProperties = 500;
const maxTextLength = 64 * 1024;
const maxName = 200;
const maxValue = 4096;

const tooMany = `must be at most ${maxProperties} properties`;

const valueSchema = z.union([
  z.string().max(maxValue, `must be at most ${maxValue} characters`),
  z.number(),
  z.boolean(),
]);

/** The other form of the body of `PUT /accounts/{account}`: a mail configuration in Jakarta-Mail properties. */
export const propertiesFormSchema = z.strictObject({
  properties: z
    .union([
      z.string().max(maxTextLength, `must be at most ${maxTextLength} characters`).meta({
        description: 'The text of a .properties file.',
      }),
      z
        .record(z.string().max(maxName, `the name must be at most ${maxName} characters`), valueSchema)
        .refine((properties) => Object.keys(properties).length <= maxProperties, tooMany),
    ])
    .meta({ description: 'Jakarta-Mail properties, as an object or as the text of a .properties file.' }),
  import: importSchema.optional().meta({ description: 'The import rule; it goes before what the properties say.' }),
});

/** What became of one property. */
export const propertyReportSchema = z.strictObject({
  name: z.string(),
  outcome: z.enum(['used', 'ignored', 'wrongPrefix', 'insecure']).meta({
    description: 'insecure: used, and it weakens what protects the mail or the password.',
  }),
  detail: z.string(),
});

/** An entry of `report` in the answer. */
export type PropertyReport = z.output<typeof propertyReportSchema>;

/** A property as it was given. */
export interface GivenProperty {
  readonly name: string;
  readonly value: string;
  /** In a text, from 1. */
  readonly line?: number;
}

/** A mistake in a property: at the property of an object, or with its line in the text. */
export function atProperty({ name, line }: Pick<GivenProperty, 'name' | 'line'>, detail: string): Mistake {
  return line === undefined
    ? { pointer: toPointer(['properties', name]), detail }
    : { pointer: '/properties', detail: `line ${line}, ${name.slice(0, maxName)}: ${detail}` };
}

/** What a text says, within bounds. Names are repeated in mistakes, values never. */
export function readText(text: string): {
  readonly properties: readonly GivenProperty[];
  readonly mistakes: readonly Mistake[];
} {
  const parsed = parsePropertiesText(text);
  const mistakes = parsed.mistakes.map(({ line, detail }) => ({
    pointer: '/properties',
    detail: `line ${line}: ${detail}`,
  }));
  if (parsed.properties.length > maxProperties)
    return { properties: [], mistakes: [{ pointer: '/properties', detail: tooMany }] };
  for (const property of parsed.properties) {
    if (property.name.length > maxName)
      mistakes.push(atProperty(property, `the name must be at most ${maxName} characters`));
    if (property.value.length > maxValue) mistakes.push(atProperty(property, `must be at most ${maxValue} characters`));
  }
  return { properties: parsed.properties, mistakes };
}

/** The mistake of a text that begins like nothing in a `.properties` file; undefined where it may be one. */
export function otherFormat(text: string): Mistake | undefined {
  const first = text.trimStart().charAt(0);
  const mistake = (detail: string) => ({ pointer: '/properties', detail });
  if (first === '{' || first === '[')
    return mistake('is the text of JSON, not of a .properties file: give the object itself');
  if (first === '<')
    return mistake('is the text of XML, not of a .properties file: give a line name=value for each entry');
  return undefined;
}

/**
 * The properties of an object that the schema has checked. They are taken from the JSON as it came: the schema's output
 * lacks the name `__proto__`.
 */
export function readObject(given: object): readonly GivenProperty[] {
  return Object.entries(given).map(([name, value]: [string, unknown]) => ({
    name,
    value: typeof value === 'object' ? '' : String(value),
  }));
}
