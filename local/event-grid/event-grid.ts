import { randomUUID } from 'node:crypto';
import type { LocalCertificate } from '../certificate.ts';
import type { TokenAuthority } from '../entra/entra.ts';
import { parseJwt } from '../entra/jwt.ts';
import { type HttpsAnswer, type HttpsRequest, startHttps } from '../https-server.ts';
import { eventFault } from './cloud-events.ts';

export interface EventGridOptions {
  readonly certificate: LocalCertificate;
  /** Whose tokens it trusts. */
  readonly authority: TokenAuthority;
  /** Client ids of those that have the role EventGrid Data Sender on the topic. */
  readonly senders: readonly string[];
  /** Absent: the system picks. */
  readonly port?: number;
}

export interface PublishedEvent {
  readonly id: string;
  readonly type: string;
  readonly [attribute: string]: unknown;
}

export interface EventGrid {
  /** As the property `endpoint` of a topic. */
  readonly endpoint: string;
  /** Every event that was taken, in the order in which they came. */
  readonly events: readonly PublishedEvent[];
  /** Requests so far, and the statuses they were answered with. */
  readonly statuses: readonly number[];
  /** Gives or takes the role EventGrid Data Sender. */
  assign(clientId: string, hasRole: boolean): void;
  /** Answers every request so from now on; undefined ends that. */
  fail(answer: { readonly status: number; readonly retryAfterSeconds?: number } | undefined): void;
  /** Refuses events with this id, as if something in them were wrong; undefined ends that. */
  refuseEvent(id: string | undefined): void;
  stop(): Promise<void>;
}

/** The resource that tokens are for (Microsoft Learn, "Authenticate publishing clients by using Microsoft Entra ID"). */
const audience = 'https://eventgrid.azure.net';

const apiVersion = '2018-01-01';

/** Of a request and of each event (Microsoft Learn, "Azure Event Grid quotas and limits"). */
const maxBytes = 1024 * 1024;

/** Events kept; a stand-in that gets more is being misused. */
const maxKept = 100_000;

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * A stand-in for one Event Grid topic on 127.0.0.1 with the input schema CloudEvents 1.0 and without keys: it takes what
 * Microsoft's published schema describes from whoever has a token for Event Grid and the role on the topic.
 */
export async function startEventGrid(options: EventGridOptions): Promise<EventGrid> {
  const events: PublishedEvent[] = [];
  const statuses: number[] = [];
  const senders = new Set(options.senders);
  let failure: { readonly status: number; readonly retryAfterSeconds?: number } | undefined;
  let refused: string | undefined;

  async function taken(request: HttpsRequest): Promise<HttpsAnswer> {
    if (failure) {
      const headers = failure.retryAfterSeconds === undefined ? {} : { 'retry-after': `${failure.retryAfterSeconds}` };
      return { ...errorAnswer(failure.status, 'Unavailable', 'The topic cannot take events now.'), headers };
    }
    if (request.path.join('/') !== 'api/events') throw new Refusal(404, 'NotFound', 'There is no such address.');
    if (request.method !== 'POST') throw new Refusal(405, 'MethodNotAllowed', 'Only POST is taken.');
    await checkCaller(request, options.authority, senders);
    if (request.query.get('api-version') !== apiVersion)
      throw new Refusal(400, 'BadRequest', `The api-version must be ${apiVersion}.`);
    const published = eventsOf(request);
    for (const event of published) {
      const fault = event.id === refused ? 'the event is refused' : eventFault(event);
      if (fault !== undefined) throw new Refusal(400, 'BadRequest', `The request has a malformed event: ${fault}.`);
    }
    if (events.length + published.length > maxKept) throw new Refusal(429, 'TooManyRequests', 'Too many events.');
    events.push(...published);
    return { status: 200 };
  }

  const server = await startHttps({
    certificate: options.certificate,
    maxBodyBytes: maxBytes,
    ...(options.port === undefined ? {} : { port: options.port }),
    async answer(request) {
      const answer = await taken(request).catch((error) => {
        if (error instanceof Refusal) return errorAnswer(error.status, error.code, error.message);
        throw error;
      });
      statuses.push(answer.status);
      return answer;
    },
  });
  return {
    endpoint: `https://localhost:${server.port}/api/events`,
    events,
    statuses,
    assign(clientId, hasRole) {
      if (hasRole) senders.add(clientId);
      else senders.delete(clientId);
    },
    fail(answer) {
      failure = answer;
    },
    refuseEvent(id) {
      refused = id;
    },
    stop: () => server.stop(),
  };
}

function errorAnswer(status: number, code: string, message: string): HttpsAnswer {
  return { status, body: { error: { code, message: `${message} Tracking id: ${randomUUID()}.`, details: [] } } };
}

async function checkCaller(
  request: HttpsRequest,
  authority: TokenAuthority,
  senders: ReadonlySet<string>,
): Promise<void> {
  if (request.headers['aeg-sas-key'] !== undefined || request.headers['aeg-sas-token'] !== undefined)
    throw new Refusal(401, 'Unauthorized', 'Keys are switched off for this topic.');
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'bearer' || !token) throw new Refusal(401, 'Unauthorized', 'There is no access token.');
  const jwt = parseJwt(token);
  const key = authority.key?.(jwt?.header.kid ?? '');
  if (!jwt || (authority.key && (!key || !(await jwt.isSignedBy(key)))))
    throw new Refusal(401, 'Unauthorized', 'The access token cannot be verified.');
  const { aud = '', exp = 0, appid } = jwt.claims;
  if (aud.replace(/\/$/, '') !== audience)
    throw new Refusal(401, 'Unauthorized', 'The access token is for another resource.');
  if (exp * 1000 <= Date.now()) throw new Refusal(401, 'Unauthorized', 'The access token has expired.');
  if (!senders.has(typeof appid === 'string' ? appid : ''))
    throw new Refusal(403, 'Forbidden', 'The principal of the access token may not send data to the topic.');
}

function eventsOf({ headers, body }: HttpsRequest): readonly PublishedEvent[] {
  const [type = ''] = (headers['content-type'] ?? '').toLowerCase().split(';');
  const isBatch = type.trim() === 'application/cloudevents-batch+json';
  if (!isBatch && type.trim() !== 'application/cloudevents+json')
    throw new Refusal(400, 'BadRequest', 'The topic takes CloudEvents: the content type says something else.');
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new Refusal(400, 'BadRequest', 'The body is no JSON.');
  }
  const list: readonly unknown[] = isBatch && Array.isArray(parsed) ? parsed : [parsed];
  if (isBatch !== Array.isArray(parsed) || list.length === 0)
    throw new Refusal(400, 'BadRequest', 'The body is not what the content type says.');
  return list.map((event) => {
    const fields = typeof event === 'object' && event !== null ? event : {};
    const id = 'id' in fields && typeof fields.id === 'string' ? fields.id : '';
    const kind = 'type' in fields && typeof fields.type === 'string' ? fields.type : '';
    return { ...fields, ...(id === '' ? {} : { id }), ...(kind === '' ? {} : { type: kind }) } as PublishedEvent;
  });
}
