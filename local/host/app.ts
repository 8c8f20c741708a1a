import { type LoadedApp, loadApp } from './app-loader.ts';
import { type Core, createCore, installCore } from './core.ts';
import type { ProgrammingModel } from './core-types.ts';
import { within } from './deadline.ts';
import { type LibraryServer, serversStartedBy, tameLibraryServer } from './library-server.ts';
import { type HostLog, messageOf } from './log.ts';

/** An app in this process, started and ready to be invoked. */
export interface StartedApp {
  readonly core: Core;
  /** undefined when the app registered nothing. */
  readonly model: ProgrammingModel | undefined;
  /** The library's own server, when the app turned HTTP streaming on. */
  readonly library: LibraryServer | undefined;
  /** Runs the appTerminate hooks (for a bounded time), and lets go of everything. */
  stop(): Promise<void>;
}

/** Azure gives an app 30 s to start (Flex Consumption); twice that here, for a laptop under load. */
const START_LIMIT = 60_000;
/** What the real host leaves the worker after telling it to end. */
const TERMINATE_LIMIT = 5_000;

/** What this host says of itself in the capabilities; the library adds HttpUri when it streams. */
const CAPABILITIES: Readonly<Record<string, string>> = {
  RpcHttpBodyOnly: 'true',
  RpcHttpTriggerMetadataRemoved: 'true',
  UseNullableValueDictionaryForHttp: 'true',
  TypedDataCollection: 'true',
};

/** Loads the app, runs its appStart hooks and asks the library what it can. @throws one clear line. */
export async function startApp(appDir: string, log: () => HostLog): Promise<StartedApp> {
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
    const library = await capabilities(model);
    return {
      core,
      model,
      library,
      stop: async () => {
        await terminate(core, log());
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

async function capabilities(model: ProgrammingModel | undefined): Promise<LibraryServer | undefined> {
  if (!model) return undefined;
  const { result, servers } = await serversStartedBy(() =>
    within(START_LIMIT, 'the library', model.getCapabilities({ ...CAPABILITIES })),
  );
  const uri = result.HttpUri;
  return uri === undefined || uri === '' ? undefined : tameLibraryServer(servers, new URL(uri));
}

async function terminate(core: Core, log: HostLog): Promise<void> {
  const context = { hookData: core.appLevelHookData, appHookData: core.appHookData };
  try {
    await within(TERMINATE_LIMIT, 'the appTerminate hooks', core.runHooks('appTerminate', context));
  } catch (error) {
    log.write('error', 'Host.Startup', `At the stop: ${messageOf(error)}`);
  }
}
