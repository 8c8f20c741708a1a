import { createHash, type Hash } from 'node:crypto';
import { maxRequestBytes, requestBounds } from '../../outbox/accepting/request.ts';
import type { MailInput, SubmitRequest } from '../../outbox/accepting/submit.ts';
import { maxRawBytes } from '../../outbox/composing/raw-message.ts';
import { Refusal } from '../../platform/refusal.ts';
import { type BodySource, mediaType, readBody } from '../body.ts';
import { isHostParameter } from '../function-key.ts';
import { parseJson, requireJson } from '../json-body.ts';

const mimeType = 'message/rfc822';

/** The parts of a request that `POST .../messages` reads. */
export interface SendSource extends BodySource {
  readonly query: URLSearchParams;
}

/**
 * What `POST .../messages` asks for: a mail as JSON, or ready-made as `message/rfc822`, and the caller's key. The body is
 * read by whoever takes the request up. Throws Refusal `invalid` for a wrong key, `tooLarge` for a mail that says so
 * beforehand, and HttpProblem 415 for other content types.
 */
export function readSendRequest(request: SendSource): SubmitRequest {
  const key = idempotencyKey(request.headers.get('idempotency-key'));
  const isMime = mediaType(request).type === mimeType;
  if (!isMime) requireJson(request, mimeType);
  else if (Number(request.headers.get('content-length') ?? 0) > maxRawBytes) throw tooLarge();
  const hash = key === undefined ? undefined : hashOf(request);
  const body = { headers: request.headers, body: hash ? hashed(request, hash) : request.body };
  const mail: MailInput = isMime
    ? { kind: 'mime', bytes: bytesOf(body) }
    : {
        kind: 'fields',
        read: async () => parseJson(await readBody(body, { maxBytes: maxRequestBytes }), requestBounds),
      };
  if (key === undefined || hash === undefined) return { mail };
  let digest: string | undefined;
  const requestHash = async () => {
    await readToEnd(body);
    digest ??= hash.digest('hex');
    return digest;
  };
  return { mail, key: { name: key, requestHash } };
}

/** Checks a key's form (1 to 256 characters). Throws Refusal `invalid`. */
function idempotencyKey(header: string | null): string | undefined {
  if (header === null) return undefined;
  const key = header.trim();
  if (key.length < 1 || key.length > 256) {
    throw new Refusal('invalid', 'Idempotency-Key must have 1 to 256 characters.');
  }
  return key;
}

/** Two requests are the same if body, content type and query are. */
function hashOf(request: SendSource): Hash {
  const query = new URLSearchParams(request.query.toString());
  // The caller's function key is no part of the request: after a rotation it is still the same one.
  for (const name of [...query.keys()].filter(isHostParameter)) query.delete(name);
  return createHash('sha256').update(`${request.headers.get('content-type') ?? ''}\n${query}\n`);
}

/** The body, which can be begun again where it was left, its bytes going into `hash` as they pass. */
function hashed(request: SendSource, hash: Hash): AsyncIterable<Uint8Array> {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const chunk of bytesOf(request)) {
        hash.update(chunk);
        yield chunk;
      }
    },
  };
}

async function* bytesOf({ body }: BodySource): AsyncGenerator<Uint8Array> {
  for await (const chunk of body ?? []) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('A request body delivers bytes.');
    yield chunk;
  }
}

/** Reads what nobody has read yet. */
async function readToEnd(source: BodySource): Promise<void> {
  let size = 0;
  for await (const chunk of bytesOf(source)) {
    size += chunk.length;
    if (size > maxRawBytes) throw tooLarge();
  }
}

function tooLarge(): Refusal {
  return new Refusal('tooLarge', `A mail is at most ${maxRawBytes} bytes.`);
}
