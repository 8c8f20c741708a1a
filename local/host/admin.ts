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

/** The host's own routes: /admin/host/ping for everyone, the others for the master key. */
export async function handleAdmin(
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
  granted: AuthLevel,
  options: AdminOptions,
): Promise<void> {
  const route = `${req.method} ${path.toLowerCase().replace(/\/+$/, '')}`;
  if (route === 'GET /admin/host/ping' || route === 'POST /admin/host/ping') return answer(req, res, 200);
  if (granted !== 'admin') return answer(req, res, 401);
  if (route === 'GET /admin/host/status') return answerJson(req, res, 200, statusOf(options));
  if (options.state() !== 'Running') return answer(req, res, 503, { body: 'Function host is not running.' });
  if (route === 'GET /admin/functions') return answerJson(req, res, 200, listOf(options));
  const name = /^POST \/admin\/functions\/([^/]+)$/.exec(route)?.[1];
  if (name === undefined) return answer(req, res, 404);
  const fn = options.index().functions.find((candidate) => candidate.name.toLowerCase() === name);
  if (!fn) return answer(req, res, 404);
  if (fn.kind === 'http') return answer(req, res, 400, { body: 'An HTTP function is called by its own route.' });
  const body = await readJson(req);
  if (!body) return answer(req, res, 400);
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
