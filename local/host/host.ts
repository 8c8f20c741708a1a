import { createHash } from 'node:crypto';
import path from 'node:path';
import type { HostState } from './admin.ts';
import { type StartedApp, startApp } from './app.ts';
import { createCors } from './cors.ts';
import { within } from './deadline.ts';
import { type FunctionIndex, type HttpFunction, indexFunctions } from './function-index.ts';
import { type HostJson, readHostJson } from './host-json.ts';
import type { HttpInvocation } from './http-invocation.ts';
import { startHttpServer } from './http-server.ts';
import { createStreamForwarder } from './http-stream.ts';
import { createInvoker, type Invoker } from './invocation.ts';
import { createKeys, type KeyOptions } from './keys.ts';
import { fireByHand, startListeners } from './listeners.ts';
import { applyLocalSettings } from './local-settings.ts';
import { consoleSink, createLog, type HostLog, type LogSink, messageOf } from './log.ts';
import { createSettings, isOn, type Settings } from './settings-resolution.ts';
import { createStorage } from './storage-connection.ts';

export interface HostOptions {
  /** Folder of the app: host.json, package.json and what its `main` names. */
  readonly appDir: string;
  readonly keys: KeyOptions;
  /** 0: the system picks. Default: Host.LocalHttpPort of local.settings.json, else 7071. */
  readonly port?: number | undefined;
  /** Default: Host.LocalHttpAddress of local.settings.json, else 127.0.0.1. */
  readonly address?: string | undefined;
  /** Where Values of local.settings.json go and settings are read. Default: process.env, which the app reads. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly logSink?: LogSink | undefined;
  /** JSON of mailboxes that the console offers to connect. */
  readonly readyMailboxes?: string | undefined;
  /** Milliseconds a stop leaves to running invocations and the appTerminate hooks. Default 5 s, as in Azure. */
  readonly drainTimeout?: number | undefined;
  /** Milliseconds a streamed request may stand still before it gets 504. Default 240 s, as in Azure. */
  readonly streamActivityTimeout?: number | undefined;
  /**
   * An invocation ran into functionTimeout and has failed. Azure restarts the worker process then, with all else that
   * runs in it; without this the host only says that it does not.
   */
  readonly onRestartNeeded?: ((functionName: string) => void) | undefined;
}

export interface Host {
  readonly port: number;
  /** `http://127.0.0.1:7071`, without a slash at the end. */
  readonly url: string;
  readonly hostId: string;
  readonly index: FunctionIndex;
  readonly log: HostLog;
  /** Stops listening, runs the appTerminate hooks and waits for what runs (bounded). Safe to call twice. */
  stop(): Promise<void>;
}

const DEFAULT_PORT = 7071;
const DEFAULT_ADDRESS = '127.0.0.1';
/** The real host's grace for its worker, at SIGTERM as elsewhere. */
const DEFAULT_DRAIN_TIMEOUT = 5_000;
/** The forwarder's ActivityTimeout in the real host. */
const DEFAULT_STREAM_ACTIVITY_TIMEOUT = 240_000;
/** Kestrel's limit as the real host sets it; streamed bodies fall under it, too. FUNCTIONS_REQUEST_BODY_SIZE_LIMIT. */
const DEFAULT_BODY_LIMIT = 104_857_600;
/** Time open connections get to finish their answers once every invocation has ended. */
const CONNECTION_LIMIT = 2_000;

const EMPTY_INDEX: FunctionIndex = { functions: [], errors: [] };

/**
 * Starts an Azure Functions host with the app in this process. Requests are answered with 503 until it is ready, which
 * is when this resolves. One app per process: Node.js cannot unload ES modules.
 *
 * @throws one clear line when host.json, local.settings.json, a needed setting or the app itself is wrong.
 */
export async function startHost(options: HostOptions): Promise<Host> {
  const appDir = path.resolve(options.appDir);
  const env = options.env ?? process.env;
  const local = await applyLocalSettings(appDir, env);
  env.AZURE_FUNCTIONS_ENVIRONMENT ??= 'Development';
  env.FUNCTIONS_WORKER_RUNTIME ??= 'node';
  const settings = createSettings(env);
  const hostJson = await readHostJson(appDir, settings);
  const log = createLog(hostJson.logLevels, options.logSink ?? consoleSink);
  const hostId = hostIdOf(appDir, settings);
  const address = options.address ?? local.address ?? DEFAULT_ADDRESS;

  let state: HostState = 'Starting';
  let index = EMPTY_INDEX;
  let httpFunctions: readonly HttpFunction[] = [];
  let running: Running | undefined;
  let url = '';

  const server = await startHttpServer(options.port ?? local.port ?? DEFAULT_PORT, address, {
    http: hostJson.http,
    keys: createKeys(options.keys),
    cors: createCors(settings, { origins: local.corsOrigins, credentials: local.corsCredentials }),
    log,
    functions: () => httpFunctions,
    bodyLimit: bodyLimitOf(settings),
    readyMailboxes: options.readyMailboxes,
    landingPage: !isOn(settings.get('AzureWebJobsDisableHomepage')),
    invoke: async (invocation) => running?.invokeHttp(invocation),
    admin: {
      hostId,
      state: () => state,
      index: () => index,
      fire: (fn, input) => running?.fire(fn, input),
      baseUrl: () => url,
    },
  });
  url = `http://${address.includes(':') ? `[${address}]` : address}:${server.port}`;
  // The platform's word on where the app answers; Core Tools set it as well.
  env.WEBSITE_HOSTNAME = new URL(url).host;

  try {
    const app = await startApp(appDir, () => log, settings.get('NODE_OPTIONS'));
    try {
      index = indexFunctions(app.core.functions, hostJson, settings);
      report(index, url, log);
      running = await run(app, index, { options, hostJson, settings, hostId, log });
    } catch (error) {
      await app.terminate();
      app.close();
      throw error;
    }
  } catch (error) {
    await server.close(0);
    throw error;
  }
  httpFunctions = index.functions.filter((fn) => fn.kind === 'http');
  state = 'Running';

  let stopped: Promise<void> | undefined;
  const stop = async () => {
    state = 'Stopping';
    await running?.drain(options.drainTimeout ?? DEFAULT_DRAIN_TIMEOUT);
    await server.close(CONNECTION_LIMIT);
    await running?.stop();
  };
  return {
    ...{ port: server.port, url, hostId, index, log },
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

interface Running {
  invokeHttp(invocation: HttpInvocation): Promise<void>;
  fire: (fn: Parameters<typeof fireByHand>[0], input: string | undefined) => void;
  /** Ends the listeners, asks the app to end, and waits for running invocations, at most so many milliseconds. */
  drain(milliseconds: number): Promise<void>;
  stop(): Promise<void>;
}

interface Surroundings {
  readonly options: HostOptions;
  readonly hostJson: HostJson;
  readonly settings: Settings;
  readonly hostId: string;
  readonly log: HostLog;
}

async function run(app: StartedApp, index: FunctionIndex, surroundings: Surroundings): Promise<Running> {
  const { options, hostJson, settings, hostId, log } = surroundings;
  const storage = createStorage(settings);
  if (!storage.hasDefault && index.functions.some((fn) => fn.kind !== 'http')) {
    throw new Error('The setting AzureWebJobsStorage is missing: triggers other than HTTP need it');
  }
  const invoker: Invoker | undefined =
    app.model &&
    createInvoker({
      core: app.core,
      model: app.model,
      log,
      functionTimeout: hostJson.functionTimeout,
      onTimeout: (name) => {
        if (options.onRestartNeeded) options.onRestartNeeded(name);
        else log.write('warning', 'Host', `'${name}' timed out. Azure restarts the process now; nothing does so here.`);
      },
    });
  if (!invoker) {
    return {
      invokeHttp: async () => undefined,
      fire: () => undefined,
      drain: () => app.terminate(),
      stop: async () => app.close(),
    };
  }
  const activityTimeout = options.streamActivityTimeout ?? DEFAULT_STREAM_ACTIVITY_TIMEOUT;
  if (!app.library && index.functions.some((fn) => fn.kind === 'http')) {
    throw new Error('This host serves HTTP functions with enableHttpStream only: call app.setup');
  }
  const forwarder = app.library && createStreamForwarder({ invoker, log, library: app.library, activityTimeout });
  const listenerOptions = { invoker, log, hostJson, hostId, storage };
  const listeners = await startListeners(index, listenerOptions);
  return {
    invokeHttp: async (invocation) => await forwarder?.forward(invocation),
    fire: (fn, input) => void fireByHand(fn, input, listenerOptions),
    drain: async (milliseconds) => {
      // As in Azure the app is asked at once, so that it can end well what runs.
      const ended = Promise.all([listeners.stop().then(() => invoker.idle(milliseconds)), app.terminate()]);
      await within(milliseconds, 'the running invocations', ended).catch((error: unknown) => {
        log.write('warning', 'Host', `At the stop, ${messageOf(error)} (${invoker.running()} left); they end now.`);
      });
    },
    stop: async () => {
      forwarder?.close();
      app.close();
    },
  };
}

/** The same between starts, so that timers find their status; AzureFunctionsWebHost__hostid sets another. */
function hostIdOf(appDir: string, settings: Settings): string {
  const given = settings.get('AzureFunctionsWebHost__hostid');
  if (given === undefined) return `local-${createHash('sha256').update(appDir).digest('hex').slice(0, 24)}`;
  if (!/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/.test(given)) {
    throw new Error('AzureFunctionsWebHost__hostid must be at most 32 lower-case letters, digits and dashes');
  }
  return given;
}

function bodyLimitOf(settings: Settings): number {
  const text = settings.get('FUNCTIONS_REQUEST_BODY_SIZE_LIMIT');
  const limit = Number(text ?? DEFAULT_BODY_LIMIT);
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new Error('FUNCTIONS_REQUEST_BODY_SIZE_LIMIT must be a whole number of bytes');
  }
  return limit;
}

function report(index: FunctionIndex, url: string, log: HostLog): void {
  const say = (line: string) => log.write('information', 'Host.Startup', line);
  say('This is a local host, not Azure: no scaling (one process runs all function groups), no Easy Auth,');
  say('no managed TLS, no Application Insights; triggers: http (streamed), timer, queue.');
  for (const fn of index.functions) {
    const methods =
      fn.kind === 'http' ? `[${[...(fn.methods ?? ['*'])].join(',')}] ${url}/${fn.template.text}` : fn.kind;
    say(`  ${fn.name}: ${methods}${fn.disabled ? ' (disabled)' : ''}`);
  }
  if (index.functions.length === 0) log.write('warning', 'Host.Startup', 'No job functions found.');
  for (const { name, reason } of index.errors) {
    log.write('error', 'Host.Startup', `The '${name}' function is in error: ${reason}`);
  }
}
