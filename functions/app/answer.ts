import type { HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import { authorize, type Role } from '../../shared/http/authorize.ts';
import { refuseEncoded } from '../../shared/http/body.ts';
import type { Answer, Call, CallRequest, Handler, OpenCall, Route } from '../../shared/http/call.ts';
import { notSetUp, problemResponse, toProblem } from '../../shared/http/problem.ts';
import { refuseParameters } from '../../shared/http/query.ts';
import { RequestBody } from '../../shared/http/request-body.ts';
import { signInInFront } from '../../shared/platform/environment.ts';
import { accountNamed } from '../../shared/platform/ids.ts';
import { errorText, log, msSince } from '../../shared/platform/log.ts';
import { SettingsError } from '../../shared/platform/settings.ts';
import { inInvocation } from './invocation-log.ts';
import { runOverdue, type Timers } from './job.ts';
import { services } from './services.ts';

/** The platform ends an HTTP request at 230 s; ours end before it, with an answer. In ms. */
const requestMs = 220_000;

/** One request that the host hands over. */
export interface Invocation {
  readonly request: HttpRequest;
  readonly context: InvocationContext;
  readonly timers: Timers;
}

/** What is asked of a call before its handler has it. */
export interface CallRule {
  /** What a caller must be, where Entra signs callers in. */
  readonly role: Role;
  /** The handler reads query parameters, and refuses those it does not know. Else the route takes none at all. */
  readonly readsQuery?: true;
}

/** Loads the module of a handler, at the first call. */
export type LoadHandler<C> = () => Promise<{ readonly handle: Handler<C> }>;

interface ReadRequest {
  readonly request: CallRequest;
  readonly param: Call['param'];
  readonly signal: AbortSignal;
}

/** Answers a call of a route that asks who calls. Never throws. */
export async function answerCall(
  invocation: Invocation,
  { role, readsQuery }: CallRule,
  load: LoadHandler<Call>,
): Promise<HttpResponseInit> {
  const { timers } = invocation;
  return await answer(invocation, async (read) => {
    const { request } = read;
    const ready = await services(timers);
    authorize(request.headers, role, { signIn: signInInFront() });
    refuseEncoded(request);
    if (!readsQuery) refuseParameters(request.query);
    // Beside the call, which does not wait for it.
    void runOverdue(ready, timers);
    const { handle } = await load();
    return await handle({ ...read, services: ready });
  });
}

/** Answers a call of a route that everybody may call. Never throws. */
export async function answerOpenCall(
  invocation: Invocation,
  routes: readonly Route[],
  load: LoadHandler<OpenCall>,
): Promise<HttpResponseInit> {
  return await answer(invocation, async (read) => {
    const { handle } = await load();
    return await handle({ ...read, routes, services: () => services(invocation.timers) });
  });
}

/** What `task` answers, or the problem for what it throws; logged as the function's own. */
async function answer(
  { request, context }: Invocation,
  task: (read: ReadRequest) => Promise<Answer>,
): Promise<HttpResponseInit> {
  return await inInvocation(context, async () => {
    const began = performance.now();
    const signal = AbortSignal.timeout(requestMs);
    try {
      return await withWholeBody(request, signal, (body) =>
        task({
          request: { headers: request.headers, query: request.query, body },
          param: (name) => request.params[name] ?? '',
          signal,
        }),
      );
    } catch (error) {
      if (error instanceof SettingsError) {
        const reference = context.invocationId;
        log.error('http.settings', { function: context.functionName, reference, error: error.message });
        return problemResponse(notSetUp(reference));
      }
      const problem = toProblem(error);
      if (problem.status >= 500) {
        log.error('http.failed', {
          function: context.functionName,
          account: accountNamed(request.params.account ?? request.params.id ?? ''),
          ms: msSince(began),
          error: errorText(error),
        });
      }
      return problemResponse(problem);
    }
  });
}

/**
 * Runs `task` on the request's body, and then reads what is left of the body before the answer goes, also where `task`
 * throws: the host keeps the connections that it sends bodies over, and what is left unread would hold up the next
 * caller.
 */
async function withWholeBody<T>(
  request: HttpRequest,
  signal: AbortSignal,
  task: (body: RequestBody) => Promise<T>,
): Promise<T> {
  const body = new RequestBody(request.body, { signal });
  try {
    return await task(body);
  } finally {
    await body.finish();
  }
}
