import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { TokenAuthority } from '../entra/entra.ts';
import { endWithout, refusalReply, requestIds, writeReply } from './answer-writer.ts';
import { attachmentOperations } from './attachment-operations.ts';
import { runBatch } from './batch.ts';
import { type BatchItem, batchItems } from './batch-input.ts';
import { type Caller, readCaller } from './bearer.ts';
import type { Handler, OpenCall, Service } from './call.ts';
import type { Concurrency } from './concurrency.ts';
import { readBody } from './connection.ts';
import { deltaOperations } from './delta-operation.ts';
import { draftOperations } from './draft-operations.ts';
import { answerFaultsOf, earlyEnd } from './fault-answers.ts';
import type { Fault, Faults } from './faults.ts';
import { folderOperations } from './folder-operations.ts';
import { badRequest, GraphRefusal, newRequestId, tooLarge } from './graph-error.ts';
import { checkLanguage } from './language.ts';
import { listOperations } from './list-operations.ts';
import type { Mailbox } from './mailbox.ts';
import { messageOperations } from './message-operations.ts';
import { answerProblems, findOperation, graphOperations, type Operation, queryProblems } from './openapi.ts';
import { graphSegments } from './path.ts';
import { checkPermission } from './permissions.ts';
import { readPrefer } from './prefer.ts';
import type { Records } from './records.ts';
import type { Reply } from './reply.ts';
import { requestBody } from './request-body.ts';
import { subscriptionOperations } from './subscription-operations.ts';

/** Bytes of a request (Microsoft Graph, "Create message": 4 MB). */
const maxRequest = 4 * 1024 * 1024;

const handlers: Readonly<Record<string, Handler>> = {
  ...attachmentOperations,
  ...deltaOperations,
  ...draftOperations,
  ...folderOperations,
  ...listOperations,
  ...messageOperations,
};

export interface EndpointOptions {
  readonly service: Service;
  readonly authority: TokenAuthority;
  /** What a token must be for. */
  readonly audience: string;
  readonly faults: Faults;
  readonly records: Records;
  readonly concurrency: Concurrency;
  /** Milliseconds that every request takes at least, so that requests at once are seen to be at once. */
  readonly latency: number;
}

/** One request to Graph: recognized, let in, checked, done, and answered. */
export async function serveGraph(
  request: IncomingMessage,
  response: ServerResponse,
  options: EndpointOptions,
): Promise<void> {
  const { service, records } = options;
  const { authorization, host = 'localhost' } = request.headers;
  const method = request.method ?? 'GET';
  const ids = requestIds(request);
  const record = records.begin(method, authorization !== undefined, service.now());
  const target = recognize(request, `https://${host}`, options);
  const { operation, mailbox } = target;
  const isBatch = /\/v1\.0\/\$batch$/i.test(target.address);
  record.route = isBatch ? '/$batch' : (operation?.template ?? 'unknown');
  record.user = mailbox?.userPrincipalName;
  const faults = faultsFor(method, record.route, target, options);
  const prefer = readPrefer(request.headers.prefer);
  let leave: () => void = () => undefined;
  const finish = (reply: Reply, answerFaults = answerFaultsOf(faults)) => {
    record.code = codeOf(reply);
    return writeReply(response, reply, {
      ids,
      answerFaults,
      now: service.now(),
      headers: prefer.applied.length > 0 ? { 'preference-applied': prefer.applied.join(', ') } : {},
      // All that a client may look at once it has its answer is settled before that.
      beforeEnd: (status) => {
        record.status = status;
        leave();
      },
    });
  };
  const reading = readBody(request, maxRequest);
  // It is awaited further down, unless a fault ends the request before.
  reading.catch(() => undefined);

  try {
    const early = await whenRead(reading, () =>
      earlyEnd(faults, () => `${target.address}?$deltatoken=`, service.now()),
    );
    if (early && 'end' in early) return await endWithout(response, early.end);
    if (early) {
      await reading;
      return await finish(early.reply, {});
    }
    if (isBatch) {
      const cut = faults.find((fault) => fault.kind === 'cutBatch');
      const reply = await answerBatch(request, await reading, cut?.after ?? Number.POSITIVE_INFINITY, options);
      return await finish(reply, cut ? { end: 'reset' } : answerFaultsOf(faults));
    }
    const admitted = await whenRead(reading, () => admit(request, target, options));
    leave = admitted.leave;
    if (options.latency > 0) await delay(options.latency);
    await finish(await carryOut(request, await reading, { target, admitted, faults }, options));
  } catch (error) {
    const refusal = refusalReply(error, ids, service.now());
    if (!refusal || response.headersSent) throw error;
    if (operation) checkAnswer(refusal, operation, records, method);
    await finish(refusal, {});
  } finally {
    leave();
  }
}

/** A request alone, or one of a batch. */
type Asked = Pick<IncomingMessage, 'method' | 'url' | 'headers'>;

interface Begun {
  readonly target: Target;
  readonly admitted: Admitted;
  readonly faults: readonly Fault[];
}

/** What comes once a request is let in and read: it is checked, done, and its answer checked. */
async function carryOut(
  { method = 'GET', headers }: Asked,
  body: Buffer | undefined,
  { target, admitted, faults }: Begun,
  { service, records }: EndpointOptions,
): Promise<Reply> {
  if (!body) throw tooLarge();
  const { operation, caller, mailbox } = admitted;
  const { query, parameters, origin } = target;
  const content = requestBody(operation, headers['content-type'], body);
  const problems = [...queryProblems(operation, query, headers), ...content.problems];
  if (problems.length > 0) {
    records.violate({ of: 'request', method, route: operation.template, problems });
    throw badRequest(problems.join('; '));
  }
  const reply = await run(operation, mailbox, {
    service,
    caller,
    parameters,
    query,
    prefer: readPrefer(headers.prefer),
    ifMatch: headers['if-match'],
    origin,
    json: content.json,
    mime: content.mime,
    faults,
  });
  checkAnswer(reply, operation, records, method);
  return reply;
}

/** The answer to a batch as a whole. Throws what is wrong with it as a whole. */
async function answerBatch(
  { method, headers }: Asked,
  body: Buffer | undefined,
  most: number,
  options: EndpointOptions,
): Promise<Reply> {
  const { service, authority, audience } = options;
  await readCaller(headers.authorization, authority, audience, service.now());
  if (method !== 'POST') throw new GraphRefusal(405, 'Request_BadRequest', 'A batch is posted.');
  if (!body) throw tooLarge();
  const answer = (item: BatchItem) => answerItem(item, headers, options);
  return await runBatch(batchItems(headers['content-type'], body), { answer, most, now: service.now });
}

/** One request of a batch, as if it came alone, with the token of the batch. Undefined: it is left out of the answer. */
async function answerItem(
  item: BatchItem,
  { authorization, host = 'localhost', 'accept-language': language }: Asked['headers'],
  options: EndpointOptions,
): Promise<Reply | undefined> {
  const { service, records } = options;
  const given = { ...(language === undefined ? {} : { 'accept-language': language }), ...item.headers };
  const headers = { ...given, ...(authorization === undefined ? {} : { authorization }) };
  const asked: Asked = { method: item.method, url: `/v1.0${item.url}`, headers };
  const record = records.begin(item.method, authorization !== undefined, service.now());
  const target = recognize(asked, `https://${host}`, options);
  record.route = target.operation?.template ?? 'unknown';
  record.user = target.mailbox?.userPrincipalName;
  const faults = faultsFor(item.method, record.route, target, options);
  let leave: () => void = () => undefined;
  let reply: Reply | undefined;
  try {
    const early = earlyEnd(faults, () => `${target.address}?$deltatoken=`, service.now());
    if (early) reply = 'end' in early ? undefined : early.reply;
    else {
      const admitted = await admit(asked, target, options);
      leave = admitted.leave;
      if (options.latency > 0) await delay(options.latency);
      reply = await carryOut(asked, item.body, { target, admitted, faults }, options);
      if (answerFaultsOf(faults).end) reply = undefined;
    }
  } catch (error) {
    const requestId = newRequestId();
    reply = refusalReply(error, { requestId, clientRequestId: requestId }, service.now());
    if (!reply) throw error;
    if (target.operation) checkAnswer(reply, target.operation, records, item.method);
  } finally {
    leave();
  }
  record.status = reply?.status ?? 0;
  record.code = reply && codeOf(reply);
  return reply;
}

function faultsFor(method: string, route: string, target: Target, { faults }: EndpointOptions): readonly Fault[] {
  const { parameters, query, mailbox } = target;
  return faults.applyingTo({
    method,
    route,
    user: mailbox?.userPrincipalName,
    message: parameters['message-id'],
    subscription: parameters['subscription-id'],
    query,
  });
}

interface Target {
  readonly origin: string;
  /** Without the query. */
  readonly address: string;
  readonly operation: Operation | undefined;
  readonly isPathKnown: boolean;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly mailbox: Mailbox | undefined;
}

function recognize(request: Asked, origin: string, options: EndpointOptions): Target {
  const url = URL.parse(request.url ?? '/', origin);
  const segments = url && graphSegments(url.pathname);
  const found = segments && findOperation(graphOperations(), request.method ?? 'GET', segments);
  const { operation, parameters = {} } = found && found !== 'wrongMethod' ? found : {};
  return {
    origin: url?.origin ?? origin,
    address: `${url?.origin}${url?.pathname}`,
    operation,
    isPathKnown: found !== undefined && found !== null,
    parameters,
    query: url?.searchParams ?? new URLSearchParams(),
    mailbox: options.service.mailbox(parameters['user-id'] ?? ''),
  };
}

/** A refusal waits until the body is read: the client is still sending, and would see a reset. */
async function whenRead<T>(reading: Promise<unknown>, decide: () => T | Promise<T>): Promise<T> {
  try {
    return await decide();
  } catch (error) {
    await reading;
    throw error;
  }
}

interface Admitted {
  readonly operation: Operation;
  readonly caller: Caller;
  /** Undefined where the path names none. */
  readonly mailbox: Mailbox | undefined;
  readonly leave: () => void;
}

/** Lets a request in, or throws the first thing that is wrong with it, in the order in which Graph looks. */
async function admit(request: Asked, target: Target, options: EndpointOptions): Promise<Admitted> {
  const { service, authority, audience, concurrency } = options;
  const caller = await readCaller(request.headers.authorization, authority, audience, service.now());
  checkLanguage(request.headers['accept-language']);
  const { operation, mailbox } = target;
  if (!operation) throw unknownPath(target, options.records, request.method ?? 'GET');
  checkPermission(caller, operation.id);
  // Subscriptions are the app's own, in whatever mailbox.
  if (subscriptionOperations[operation.id]) return { operation, caller, mailbox: undefined, leave: () => undefined };
  if (!mailbox) throw unknownUser(target.parameters['user-id'], operation);
  if (!mailbox.enabled) {
    throw new GraphRefusal(404, 'MailboxNotEnabledForRESTAPI', 'The mailbox is inactive, soft-deleted or on-premises.');
  }
  return { operation, caller, mailbox, leave: concurrency.enter(caller.appId, mailbox.userId) };
}

async function run(operation: Operation, mailbox: Mailbox | undefined, call: OpenCall): Promise<Reply> {
  const open = subscriptionOperations[operation.id];
  if (open) return await open(call);
  const handler = handlers[operation.id];
  if (!handler || !mailbox) throw new GraphRefusal(501, 'NotImplemented', 'This operation is not offered here.');
  return handler({ ...call, mailbox });
}

/** An answer that does not fit the description is a mistake of this stand-in, and must not pass as Graph's. */
function checkAnswer(reply: Reply, operation: Operation, records: Records, method: string): void {
  const mediaType = reply.json !== undefined ? 'application/json' : reply.pieces ? (reply.mediaType ?? '') : undefined;
  const problems = answerProblems(operation, reply.status, mediaType, reply.json);
  if (problems.length > 0) records.violate({ of: 'answer', method, route: operation.template, problems });
}

function codeOf(reply: Reply): string | undefined {
  const { json } = reply;
  if (reply.status < 400 || typeof json !== 'object' || json === null || !('error' in json)) return undefined;
  const { error } = json;
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function unknownPath(target: Target, records: Records, method: string): GraphRefusal {
  const depth = target.address.split('/').length - 4;
  const problem = target.isPathKnown ? 'the method is not one of this path' : `a path of ${depth} segments is unknown`;
  records.violate({ of: 'request', method, route: 'unknown', problems: [problem] });
  return target.isPathKnown
    ? new GraphRefusal(405, 'Request_BadRequest', 'The method is not allowed for the target resource.')
    : badRequest('Resource not found for the segment.');
}

function unknownUser(user: string | undefined, operation: Operation): GraphRefusal {
  if (user === undefined) return new GraphRefusal(501, 'NotImplemented', `${operation.id} is not offered here.`);
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(user)) {
    return new GraphRefusal(404, 'ResourceNotFound', 'The user could not be found.');
  }
  return new GraphRefusal(404, 'ErrorInvalidUser', 'The requested user is invalid.');
}
