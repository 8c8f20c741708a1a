import { type LoadedApp, loadApp } from './app-loader.ts';
import { type Core, createCore, installCore } from './core.ts';
import type { ProgrammingModel } from './core-types.ts';
import { within } from './deadline.ts';
import { type LibraryServer, limitLibraryServer, serversStartedBy } from './library-server.ts';
import { type HostLog, messageOf } from './log.ts';

/** An app in this process, started and ready to be invoked. */
export interface StartedApp {
  readonly core: Core;
  /** undefined when the app registered nothing. */
  readonly model: ProgrammingModel | undefined;
  /** The library's own server, when the app turned HTTP streaming on. */
  readonly library: LibraryServer | undefined;
  /** Runs the appTerminate hooks, for a bounded time: the app is asked to end while its invocations may still run. */
  terminate(): Promise<void>;
  /** Lets go of everything. */
  close(): void;
}

/** Azure gives an app 30 s to start (Flex Consumption); twice that here, for a laptop under load. */
const START_LIMIT = 60_000;
/** The time that the real host leaves the worker after asking it to end. */
const TERMINATE_LIMIT = 5_000;

/** What this host says of itself in the capabilities; the library adds HttpUri when it streams. */
const CAPABILITIES: Readonly<Record<string, string>> = {
  RpcHttpBodyOnly: 'true',
  RpcHttpTriggerMetadataRemoved: 'true',
  UseNullableValueDictionaryForHttp: 'true',
  TypedDataCollection: 'true',
};

/** Loads the app, runs its appStart hooks and asks the library what it can. @throws one clear line. */
export async function startApp(appDir: string, log: () => HostLog, nodeOptions?: string): Promise<StartedApp> {
  const core = createCore(log);
  const uninstall = installCore(core.api);
  let loaded: LoadedApp | undefined;
  try {
    loaded = await loadApp(appDir);
    await within(
      START_LIMIT,
      'the appStart hooks',
      core.runHooks('appStart', {
        functionAppDirectory: appDir,
        hookData: core.appLevelHookData,
        appHookData: core.appHookData,
      }),
    );
    core.seal();
    const model = core.model();
    const library = await capabilities(model, maxHeaderSizeOf(nodeOptions));
    return {
      core,
      model,
      library,
      terminate: () => terminate(core, log()),
      close: () => {
        library?.close();
        uninstall();
        loaded?.unload();
      },
    };
  } catch (error) {
    uninstall();
    loaded?.unload();
    throw error;
  }
}

async function capabilities(
  model: ProgrammingModel | undefined,
  maxHeaderSize: number | undefined,
): Promise<LibraryServer | undefined> {
  if (!model) return undefined;
  const { result, servers } = await serversStartedBy(() =>
    within(START_LIMIT, 'the library', model.getCapabilities({ ...CAPABILITIES })),
  );
  const uri = result.HttpUri;
  return uri === undefined || uri === '' ? undefined : limitLibraryServer(servers, new URL(uri), maxHeaderSize);
}

/** In Azure NODE_OPTIONS is read where the worker starts; this process runs already, so what it says of headers is passed on. */
function maxHeaderSizeOf(nodeOptions: string | undefined): number | undefined {
  const size = /(?:^|\s)--max-http-header-size[= ](\d{1,9})(?:\s|$)/.exec(nodeOptions ?? '')?.[1];
  return size === undefined ? undefined : Number(size);
}

async function terminate(core: Core, log: HostLog): Promise<void> {
  const context = { hookData: core.appLevelHookData, appHookData: core.appHookData };
  try {
    await within(TERMINATE_LIMIT, 'the appTerminate hooks', core.runHooks('appTerminate', context));
  } catch (error) {
    log.write('error', 'Host.Startup', `At the stop: ${messageOf(error)}`);
  }
}
