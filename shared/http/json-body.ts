import { type BodySource, mediaType, type ReadBodyOptions, readBody } from './body.ts';
import { checkJsonBounds, type JsonBounds } from './json-bounds.ts';
import { HttpProblem } from './problem.ts';

/** Ordinary requests: accounts, secrets, imports. */
const defaultJsonBytes = 1024 * 1024;

/** What a JSON body may be. */
export interface JsonBodyOptions extends Partial<ReadBodyOptions> {
  /** An empty body is allowed and answers undefined. */
  readonly optional?: boolean;
}

/** Refuses what does not say that it is JSON in UTF-8 (RFC 8259 section 8.1) with 415. `also`: what else the route takes. */
export function requireJson(source: Pick<BodySource, 'headers'>, also?: string): void {
  const { type, charset } = mediaType(source);
  const isJson = type === 'application/json' || /^application\/[a-z0-9!#$&^_.-]+\+json$/.test(type);
  if (!isJson || (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8'))
    throw new HttpProblem(
      415,
      `The body must be sent as Content-Type: application/json, in UTF-8${also === undefined ? '' : `, or as ${also}`}.`,
      { headers: { Accept: also === undefined ? 'application/json' : `application/json, ${also}` } },
    );
}

/** As many values as the properties of an account, and several times over. */
const defaultBounds: JsonBounds = { maxValues: 5_000 };

/** JSON from bytes, within `bounds`. 400 for bytes that are no UTF-8 (nothing is replaced silently) and for anything but one JSON text. */
export function parseJson(bytes: Buffer, bounds: JsonBounds = defaultBounds): unknown {
  checkJsonBounds(bytes, bounds);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new HttpProblem(400, 'The body is not valid UTF-8.');
  }
  if (text.trim() === '') throw new HttpProblem(400, 'The body is empty; JSON is expected.');
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    // The engine's message quotes the body, which may hold message contents.
    throw new HttpProblem(400, 'The body is not valid JSON.');
  }
}

/** Reads a JSON body. Throws HttpProblem 413, 415 or 400. */
export async function readJsonBody(source: BodySource, options: JsonBodyOptions = {}): Promise<unknown> {
  const { optional = false, maxBytes = defaultJsonBytes } = options;
  if (!optional) requireJson(source);
  const bytes = await readBody(source, { maxBytes });
  if (optional) {
    if (bytes.length === 0) return undefined;
    requireJson(source);
  }
  return parseJson(bytes);
}
