import {
  app,
  type HttpMethod,
  type HttpRequest,
  type HttpResponseInit,
  type InvocationContext,
} from '@azure/functions';
import type { Role } from '../shared/http/authorize.ts';
import { signInInFront } from '../shared/platform/environment.ts';
import type { Services } from './services.ts';

/** The platform ends an HTTP request at 230 s; ours end before it, with an answer. */
const requestMs = 220_000;

export interface Call {
  readonly request: HttpRequest;
  /** A route parameter, decoded. */
  param(name: string): string;
  readonly signal: AbortSignal;
  readonly services: Services;
}

export interface Endpoint {
  readonly method: HttpMethod;
  /** Without the `api` prefix. */
  readonly route: string;
  /** What a caller must be, where Entra signs callers in. */
  readonly role: Role;
}

/**
 * Registers one HTTP function. Whatever its handler throws still answers, as problem+json: with HTTP streaming on, a
 * handler that throws would leave the caller without any answer.
 */
export function endpoint(name: string, options: Endpoint, handle: (call: Call) => Promise<HttpResponseInit>): void {
  app.http(name, {
    methods: [options.method],
    route: options.route,
    authLevel: signInInFront() ? 'anonymous' : 'function',
    handler: (request, context) => answer(request, context, options.role, handle),
  });
}

async function answer(
  request: HttpRequest,
  context: InvocationContext,
  role: Role,
  handle: (call: Call) => Promise<HttpResponseInit>,
): Promise<HttpResponseInit> {
  const { problemResponse, toProblem } = await import('../shared/http/problem.ts');
  const { log, errorText, msSince } = await import('../shared/platform/log.ts');
  const { inInvocation } = await import('./invocation-log.ts');
  return await inInvocation(context, async () => {
    const began = performance.now();
    try {
      const { authorize } = await import('../shared/http/authorize.ts');
      const { services } = await import('./services.ts');
      const ready = await services();
      authorize(request.headers, role, { signIn: signInInFront() });
      return await handle({
        request,
        param: (parameter) => request.params[parameter] ?? '',
        signal: AbortSignal.timeout(requestMs),
        services: ready,
      });
    } catch (error) {
      const problem = toProblem(error);
      if (problem.status >= 500) {
        const { accountNamed } = await import('../shared/platform/ids.ts');
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
