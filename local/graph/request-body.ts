import type { Operation } from './openapi.ts';

export interface RequestBody {
  readonly json: unknown;
  readonly mime: Buffer | undefined;
  readonly problems: readonly string[];
}

/** Reads and checks the body of a request by the description of its operation. */
export function requestBody(operation: Operation, contentType: string | undefined, body: Buffer): RequestBody {
  const mediaType = contentType?.split(';')[0]?.trim().toLowerCase() ?? '';
  const none = { json: undefined, mime: undefined };
  if (operation.body.size === 0) {
    return { ...none, problems: body.length > 0 ? ['the operation takes no body'] : [] };
  }
  if (!operation.body.has(mediaType)) {
    return { ...none, problems: [`media type ${mediaType.slice(0, 60) || '(none)'} is not taken`] };
  }
  if (mediaType === 'text/plain') return { json: undefined, mime: body, problems: [] };
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    return { ...none, problems: ['the body is no JSON'] };
  }
  const named = inGraphsSpelling(json, operation.actionParameters);
  return { json: named, mime: undefined, problems: operation.body.get(mediaType)?.(named) ?? [] };
}

/** Graph takes parameters of actions and values of enumerations in any letter case; the description has one. */
function inGraphsSpelling(json: unknown, parameters: readonly string[]): unknown {
  if (!isObject(json)) return json;
  const named = Object.fromEntries(
    Object.entries(json).map(([key, value]) => [
      parameters.find((one) => one.toLowerCase() === key.toLowerCase()) ?? key,
      value,
    ]),
  );
  if (isObject(named.message)) return { ...named, message: lowerCaseEnumerations(named.message) };
  return lowerCaseEnumerations(named);
}

function lowerCaseEnumerations(message: Readonly<Record<string, unknown>>): unknown {
  const { importance, body } = message;
  return {
    ...message,
    ...(typeof importance === 'string' ? { importance: importance.toLowerCase() } : {}),
    ...(isObject(body) && typeof body.contentType === 'string'
      ? { body: { ...body, contentType: body.contentType.toLowerCase() } }
      : {}),
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
