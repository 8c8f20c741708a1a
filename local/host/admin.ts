import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { FunctionIndex, HostFunction } from './function-index.ts';
import { answer, answerJson } from './http-answer.ts';
import type { AuthLevel } from './keys.ts';

export type HostState = 'Starting' | 'Running' | 'Stopping';

export interface AdminOptions {
  readonly hostId: string;
  readonly state: () => HostState;
  readonly index: () => FunctionIndex;
  /** Starts a non-HTTP function with this input and does not wait for it. */
  readonly fire: (fn: Exclude<HostFunction, { kind: 'http' }>, input: string | undefined) => void;
  readonly baseUrl: () => string;
}

/** `{"input": "…"}` may carry a queue message of 64 KiB, escaped. */
const MAX_ADMIN_BODY = 512 * 1_024;
const bodySchema = z.looseObject({ input: z.string().nullish() });
const VERSION = '4.1044.100';

/** A request of one of the host's own routes. */
export interface AdminRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly path: string;
  /** What the caller's key opens. */
  readonly granted: AuthLevel;
}

/**
 * The host's own routes: /admin/host/ping for everyone, the others for the master key. As in the real host a path that
 * is none of them is 404 whoever asks, a lesser key 403, and a body that does not say it is JSON 415.
 */
export async function handleAdmin({ req, res, path, granted }: AdminRequest, options: AdminOptions): Promise<void> {
  const route = `${req.method} ${path.toLowerCase().replace(/\/$/, '')}`;
  if (route === 'GET /admin/host/ping' || route === 'POST /admin/host/ping') return answer(req, res, 200);
  const [, method, name, status] = /^(GET|POST) \/admin\/functions\/([^/]+)(\/status)?$/.exec(route) ?? [];
  const known = name !== undefined && !(method === 'POST' && status !== undefined);
  if (!known && route !== 'GET /admin/host/status' && route !== 'GET /admin/functions') return answer(req, res, 404);
  if (granted !== 'admin') return answer(req, res, granted === 'anonymous' ? 401 : 403);
  if (route === 'GET /admin/host/status') return answerJson(req, res, 200, statusOf(options));
  if (options.state() !== 'Running') return answer(req, res, 503, { body: 'Function host is not running.' });
  if (name === undefined) return answerJson(req, res, 200, listOf(options));
  if (method === 'POST') return await fireFunction(req, res, name, options);
  const found = listOf(options).find((entry) => entry.name.toLowerCase() === name);
  if (!found) return answer(req, res, 404);
  if (status === undefined) return answerJson(req, res, 200, found);
  answerJson(req, res, 200, { isDisabled: found.isDisabled, ...('error' in found ? { errors: [found.error] } : {}) });
}

async function fireFunction(
  req: IncomingMessage,
  res: ServerResponse,
  name: string,
  options: AdminOptions,
): Promise<void> {
  if (!/^application\/(?:[a-z.-]+\+)?json\s*(?:;|$)/i.test(req.headers['content-type'] ?? ''))
    return answer(req, res, 415);
  const body = await readJson(req);
  if (!body) return answer(req, res, 400);
  const fn = options.index().functions.find((candidate) => candidate.name.toLowerCase() === name);
  if (!fn) return answer(req, res, 404);
  if (fn.kind === 'http') return answer(req, res, 400, { body: 'An HTTP function is called by its own route.' });
  options.fire(fn, body.input ?? undefined);
  answer(req, res, 202);
}

function statusOf({ hostId, state, index }: AdminOptions) {
  const { errors } = index();
  return {
    id: hostId,
    state: state(),
    version: VERSION,
    versionDetails: `${VERSION}+local`,
    platform: 'local',
    processUptime: Math.round(process.uptime() * 1_000),
    ...(errors.length > 0 ? { errors: errors.map((error) => `${error.name}: ${error.reason}`) } : {}),
  };
}

function listOf({ index, baseUrl }: AdminOptions) {
  const { functions, errors } = index();
  return [
    ...functions.map((fn) => ({
      name: fn.name,
      language: 'node',
      isDisabled: fn.disabled,
      href: `${baseUrl()}/admin/functions/${fn.name}`,
      invoke_url_template: fn.kind === 'http' ? `${baseUrl()}/${fn.template.text}` : '',
      config: {
        name: fn.name,
        bindings: Object.entries(fn.registered.metadata.bindings).map(([name, binding]) => ({ ...binding, name })),
      },
    })),
    ...errors.map(({ name, reason }) => ({ name, language: 'node', isDisabled: false, error: reason })),
  ];
}

/** An empty body counts as `{}`; undefined when it is too large or not what it should be. */
async function readJson(req: IncomingMessage): Promise<z.infer<typeof bodySchema> | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req) {
    if (!(chunk instanceof Buffer)) return undefined;
    size += chunk.length;
    if (size > MAX_ADMIN_BODY) return undefined;
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8').trim();
  try {
    return bodySchema.parse(text === '' ? {} : JSON.parse(text));
  } catch {
    return undefined;
  }
}
