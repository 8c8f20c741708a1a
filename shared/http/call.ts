import type { Readable } from 'node:stream';
import type { RequestBody } from './request-body.ts';
import type { Services } from './services.ts';

/** The parts of a request that handlers read. */
export interface CallRequest {
  readonly headers: { get(name: string): string | null };
  readonly query: URLSearchParams;
  readonly body: RequestBody;
}

/** One call of a route by a caller who may make it. */
export interface Call {
  readonly request: CallRequest;
  /** A route parameter, decoded; empty where the route has none of this name. */
  param(name: string): string;
  /** The time the call may take. */
  readonly signal: AbortSignal;
  readonly services: Services;
}

/** A route of the app. */
export interface Route {
  readonly method: string;
  /** Segments with `{name}` or `{name:int}` for what varies, `{*name}` at the end for any number of them (ASP.NET Core's route templates). */
  readonly route: string;
}

/** A call of a route that everybody may call; it comes without a look at settings, keys or roles. */
export interface OpenCall extends Omit<Call, 'services'> {
  /** Throws SettingsError where a setting is missing or wrong. */
  services(): Promise<Services>;
  /** Every route of the app. */
  readonly routes: readonly Route[];
}

/** An answer to a call; without a status it is 200. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly jsonBody?: unknown;
  readonly body?: Readable | string;
}

/** Answers one call. Throws Refusal, HttpProblem, or what goes wrong; all of it is answered as a problem. */
export type Handler<C = Call> = (call: C) => Promise<Answer>;
