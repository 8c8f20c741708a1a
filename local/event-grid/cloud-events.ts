import { Ajv2019 } from 'ajv/dist/2019.js';

/** Microsoft's definition `CloudEventEvent` of the data plane of Event Grid, version 2018-01-01. */
const published = {
  type: 'object',
  required: ['type', 'specversion', 'source', 'id'],
  properties: {
    id: { type: 'string' },
    source: { type: 'string' },
    data: { type: 'object' },
    data_base64: { type: 'string' },
    type: { type: 'string' },
    time: { type: 'string' },
    specversion: { type: 'string' },
    dataschema: { type: 'string' },
    datacontenttype: { type: 'string' },
    subject: { type: 'string' },
  },
  additionalProperties: true,
};

const isPublished = new Ajv2019({ strict: false, allErrors: true }).compile(published);

/** RFC 3339 section 5.6. */
const instant = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** What is wrong with an event; undefined where a topic with the schema of CloudEvents takes it. */
export function eventFault(event: unknown): string | undefined {
  if (!isPublished(event)) {
    const [first] = isPublished.errors ?? [];
    return `${first?.instancePath || 'The event'} ${first?.message ?? 'is wrong'}`;
  }
  const fields: Readonly<Record<string, unknown>> = { ...(event as object) };
  // CloudEvents 1.0, "Naming conventions" and "Required attributes".
  const misnamed = Object.keys(fields).find((name) => name !== 'data_base64' && !/^[a-z0-9]+$/.test(name));
  if (misnamed !== undefined) return `${misnamed} is no name of an attribute`;
  if (fields.specversion !== '1.0') return 'specversion must be 1.0';
  for (const name of ['id', 'source', 'type']) if (fields[name] === '') return `${name} must not be empty`;
  if (fields.subject === '') return 'subject must not be empty';
  if (typeof fields.source === 'string' && /\s/.test(fields.source)) return 'source must be a URI-reference';
  if (typeof fields.time === 'string' && !(instant.test(fields.time) && !Number.isNaN(Date.parse(fields.time))))
    return 'time must be an instant of RFC 3339';
  if ('data' in fields && 'data_base64' in fields) return 'data and data_base64 exclude each other';
  return undefined;
}
