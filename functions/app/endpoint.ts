import { app, type HttpHandler, type HttpMethod } from '@azure/functions';
import type { Call, OpenCall } from '../../shared/http/call.ts';
import type { OperationName } from '../../shared/http/openapi/operations.ts';
import { signInInFront } from '../../shared/platform/environment.ts';
import type { CallRule, LoadHandler } from './answer.ts';
import { watchedTimers } from './timer.ts';

/** A route of the app, and who may call it. */
export interface Endpoint extends CallRule {
  readonly method: HttpMethod;
  /** Without the `api` prefix. */
  readonly route: string;
}

/** Every route of the app with its method, for the answer to what no route takes. */
const routes: { readonly method: HttpMethod; readonly route: string }[] = [];

/**
 * Registers one HTTP function, which `GET /openapi.json` describes under the same name. Whatever its handler throws still
 * answers, as problem+json: with HTTP streaming on, a handler that throws would leave the caller without any answer.
 */
export function endpoint(name: OperationName, options: Endpoint, load: LoadHandler<Call>): void {
  routes.push(options);
  app.http(name, {
    methods: [options.method],
    route: options.route,
    authLevel: signInInFront() ? 'anonymous' : 'function',
    handler: async (request, context) => {
      const { answerCall } = await import('./answer.ts');
      return await answerCall({ request, context, timers: watchedTimers }, options, load);
    },
  });
}

/** A route for which the app asks no role. */
export interface OpenRoute {
  readonly method: HttpMethod;
  /** Without the `api` prefix. */
  readonly route: string;
  /** `function`: the host asks for a key. */
  readonly authLevel: 'anonymous' | 'function';
}

/** As `endpoint`, for a function that needs neither settings nor a role. */
export function openEndpoint(
  name: OperationName,
  { method, route, authLevel }: OpenRoute,
  load: LoadHandler<OpenCall>,
): void {
  routes.push({ method, route });
  app.http(name, { methods: [method], route, authLevel, handler: openHandler(load) });
}

/** The handler of a function that everybody may call; to be registered with `app.http`. What it throws answers, too. */
export function openHandler(load: LoadHandler<OpenCall>): HttpHandler {
  return async (request, context) => {
    const { answerOpenCall } = await import('./answer.ts');
    return await answerOpenCall({ request, context, timers: watchedTimers }, routes, load);
  };
}
