import type { IncomingMessage, ServerResponse } from 'node:http';
import { endWithout, refusalReply, requestIds, writeReply } from './answer-writer.ts';
import { readBody } from './connection.ts';
import { answerFaultsOf, earlyEnd } from './fault-answers.ts';
import type { Faults } from './faults.ts';
import { GraphRefusal, itemNotFound, tooLarge } from './graph-error.ts';
import type { Records } from './records.ts';
import { noContent, type Reply } from './reply.ts';
import { maxRange, type UploadSessions } from './upload-sessions.ts';

export interface UploadEndpointOptions {
  readonly uploads: () => UploadSessions;
  readonly faults: Faults;
  readonly records: Records;
  readonly now: () => number;
}

/**
 * The host of pre-authenticated upload addresses, which is not Graph's. It takes no token: one that comes
 * here is refused and recorded. Links that a fault leads to another origin end here as well.
 */
export async function serveUploads(
  request: IncomingMessage,
  response: ServerResponse,
  options: UploadEndpointOptions,
): Promise<void> {
  const { records, now } = options;
  const uploads = options.uploads();
  const method = request.method ?? 'GET';
  const hadToken = request.headers.authorization !== undefined;
  const ids = requestIds(request);
  const record = records.begin(method, hadToken, now());
  const url = URL.parse(request.url ?? '/', uploads.origin);
  const token = url?.searchParams.get('authtoken') ?? undefined;
  if (token !== undefined) {
    record.route = 'uploadUrl';
    record.user = uploads.user(token);
  }
  const query = new URLSearchParams();
  const faults = options.faults.applyingTo({ method, route: record.route, user: record.user, query });
  const finish = async (reply: Reply, answerFaults = answerFaultsOf(faults)) => {
    const beforeEnd = (status: number) => {
      record.status = status;
    };
    await writeReply(response, reply, { ids, answerFaults, now: now(), beforeEnd });
  };
  try {
    if (hadToken) records.tokenExposed({ host: request.headers.host ?? '', method, at: now() });
    const body = await readBody(request, maxRange);
    const early = earlyEnd(faults, () => uploads.origin, now());
    if (early && 'end' in early) return await endWithout(response, early.end);
    if (early) return await finish(early.reply, {});
    if (hadToken) throw new GraphRefusal(401, 'InvalidAuthenticationToken', 'This address takes no Authorization.');
    if (token === undefined) throw itemNotFound();
    await finish(perform(uploads, token, request, body));
  } catch (error) {
    const refusal = refusalReply(error, ids, now());
    if (!refusal || response.headersSent) throw error;
    if (error instanceof GraphRefusal) record.code = error.code;
    await finish(refusal, {});
  }
}

function perform(uploads: UploadSessions, token: string, request: IncomingMessage, body: Buffer | undefined): Reply {
  const { method } = request;
  if (method === 'DELETE') {
    uploads.cancel(token);
    return noContent;
  }
  if (method !== 'PUT') throw new GraphRefusal(405, 'ErrorInvalidRequest', 'Only PUT and DELETE are understood.');
  if (!body) throw tooLarge();
  const contentRange = request.headers['content-range'];
  return uploads.put(token, { contentRange, contentType: request.headers['content-type'], bytes: body });
}
