import { randomUUID } from 'node:crypto';
import type { Agent } from 'node:https';
import type { Context, Middleware } from '@microsoft/microsoft-graph-client';
import type { DialogueLog } from '../dialogue.ts';
import { isOwn } from './addresses.ts';
import { discard, requestIdOf } from './answers.ts';
import type { GraphPlace } from './cloud.ts';
import { GraphError } from './graph-error.ts';
import type { GraphSignIn } from './graph-sign-in.ts';
import { exchange, type HttpAnswer, type SilenceLimits } from './http-exchange.ts';

/**
 * One request on its way through the chain. It carries what the library would lose: the address as it is, bytes as
 * bytes, the answer before anybody reads it, and the error as it was thrown.
 */
export class Call {
  readonly method: string;
  readonly url: URL;
  readonly body: Buffer | undefined;
  readonly signal: AbortSignal;
  readonly headers: Record<string, string>;
  readonly beforeLast: (() => Promise<void>) | undefined;
  answer: HttpAnswer | undefined;
  failure: unknown;

  constructor(parts: Pick<Call, 'method' | 'url' | 'body' | 'signal' | 'headers' | 'beforeLast'>) {
    this.method = parts.method;
    this.url = parts.url;
    this.body = parts.body;
    this.signal = parts.signal;
    this.headers = { ...parts.headers };
    this.beforeLast = parts.beforeLast;
  }
}

/** The call of a context. The library finds options by their class. */
function callOf(context: Context): Call {
  const call = context.middlewareControl?.getMiddlewareOptions(Call);
  if (!(call instanceof Call)) throw new Error('a request without its call');
  return call;
}

/** One step on the way of a request; each hands it to the next. */
abstract class ChainLink implements Middleware {
  #next: Middleware | undefined;

  setNext(next: Middleware): void {
    this.#next = next;
  }

  protected async forward(context: Context): Promise<void> {
    await this.#next?.execute(context);
  }

  async execute(context: Context): Promise<void> {
    const call = callOf(context);
    try {
      await this.handle(call, context);
    } catch (error) {
      // The library would make another error of it.
      call.failure ??= error;
      throw error;
    }
  }

  protected abstract handle(call: Call, context: Context): Promise<void>;
}

/** Refuses any address outside the configured endpoint, whoever gave it: no token leaves for another host. */
export class PinnedHost extends ChainLink {
  readonly #place: GraphPlace;

  constructor(place: GraphPlace) {
    super();
    this.#place = place;
  }

  protected override async handle(call: Call, context: Context): Promise<void> {
    if (!isOwn(this.#place, call.url)) {
      throw new GraphError('nonsense', 'a link that leads to another host', {
        code: 'FOREIGN_HOST',
        mayHaveArrived: false,
      });
    }
    await this.forward(context);
  }
}

/** Adds the headers that every request has. */
export class StandardHeaders extends ChainLink {
  protected override async handle(call: Call, context: Context): Promise<void> {
    call.headers.accept ??= 'application/json';
    // Some endpoints refuse what fetch would send ("*").
    call.headers['accept-language'] = 'en-US';
    // Without this an answer may come in any encoding (RFC 9110 section 12.5.3).
    call.headers['accept-encoding'] = 'identity';
    call.headers['client-request-id'] = randomUUID();
    call.headers['user-agent'] = 'Mailroom';
    await this.forward(context);
  }
}

/** Adds the token; asks for another one, once, where the server does not take it (it did nothing then). */
export class BearerToken extends ChainLink {
  readonly #signIn: GraphSignIn;

  constructor(signIn: GraphSignIn) {
    super();
    this.#signIn = signIn;
  }

  protected override async handle(call: Call, context: Context): Promise<void> {
    const first = await this.#signIn.token(call.signal);
    call.headers.authorization = `Bearer ${first}`;
    await this.forward(context);
    if (call.answer?.status !== 401) return;
    this.#signIn.refused(first);
    const second = await this.#signIn.token(call.signal);
    await discard(call.answer);
    call.headers.authorization = `Bearer ${second}`;
    await this.forward(context);
  }
}

/** Writes each request and its answer to the account's dialogue: no query, since links in it are as good as tokens. */
export class DialogueLink extends ChainLink {
  readonly #dialogue: DialogueLog;

  constructor(dialogue: DialogueLog) {
    super();
    this.#dialogue = dialogue;
  }

  protected override async handle(call: Call, context: Context): Promise<void> {
    this.#dialogue.attach();
    this.#dialogue.client(`${call.method} ${call.url.pathname} client-request-id ${call.headers['client-request-id']}`);
    const began = performance.now();
    const ended = (what: string) => this.#dialogue.server(`${what} in ${Math.round(performance.now() - began)} ms`);
    try {
      await this.forward(context);
      ended(`${call.answer?.status} request-id ${(call.answer && requestIdOf(call.answer)) ?? 'none'}`);
    } catch (error) {
      ended(error instanceof GraphError ? `no answer (${error.code})` : 'no answer');
      throw error;
    }
  }
}

/** The last link: one exchange, and never a second one of anything that might have been done. */
export class ExchangeLink extends ChainLink {
  readonly #agent: Agent;
  readonly #limits: SilenceLimits;

  constructor(agent: Agent, limits: SilenceLimits) {
    super();
    this.#agent = agent;
    this.#limits = limits;
  }

  protected override async handle(call: Call, context: Context): Promise<void> {
    const { method, url, headers, body, signal, beforeLast } = call;
    call.answer = await exchange({ method, url, headers, body, signal, beforeLast, limits: this.#limits }, this.#agent);
    context.response = new Response(null, { status: responseStatus(call.answer.status) });
  }
}

/** What the library is shown; it reads nothing of it. */
function responseStatus(status: number): number {
  return status >= 200 && status <= 599 ? status : 502;
}
