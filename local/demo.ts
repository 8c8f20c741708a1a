import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from '../build.ts';
import { appArgument } from './app-argument.ts';
import { runDemo } from './demo-steps.ts';
import { LaptopParts } from './laptop.ts';
import { onNpmGone } from './npm-parent.ts';

/** The whole of it takes seconds; a machine that needs longer is stuck. */
const demoMs = 180_000;
/** Of the functions' own output, when something went wrong. */
const logTailLines = 40;

/**
 * `npm run demo [-- --app DIR]`: the main job once, on the embedded parts, with everything thrown away afterwards; with
 * `--app` by the app in that folder, as an unpacked package, instead of this project's.
 */
async function main(): Promise<number> {
  const appDirectory = appArgument(process.argv.slice(2));
  const directory = await mkdtemp(join(tmpdir(), 'mailroom-demo-'));
  const logFile = join(directory, 'functions.log');
  const log = await open(logFile, 'a');
  const ending = new AbortController();
  const interrupt = () => ending.abort(new Error('it was interrupted'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt);
  onNpmGone(interrupt);
  const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(demoMs)]);
  const parts = new LaptopParts({
    // Embedded parts only, whatever the shell has set for the real thing.
    env: withoutSettings(process.env),
    appDirectory,
    dataDirectory: directory,
    port: 0,
    mailPorts: { smtp: 0, imap: 0 },
    output: log.fd,
    say: () => undefined,
    onLoss: (reason) => ending.abort(new Error(reason)),
    signal,
  });
  try {
    const which = appDirectory === undefined ? 'Building Mailroom' : `Taking Mailroom from ${appDirectory}`;
    console.log(`${which} and starting it with all it needs on this machine ...`);
    if (appDirectory === undefined) await build();
    const laptop = await parts.start();
    console.log(`It answers on ${laptop.url}.\n`);
    await runDemo(laptop, { say: (line) => console.log(line), signal });
    console.log('\nAll of it is true: sent once, arrived once, imported once, by SMTP, IMAP and Graph.');
    return 0;
  } catch (error) {
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
    await parts.stop();
    const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n');
    console.error(`\nThe last that the functions said:\n${lines.slice(-logTailLines).join('\n')}`);
    return 1;
  } finally {
    await parts.stop();
    await log.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The environment without anything that would lead the demo to an account in Azure. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const settings =
    /^(AzureWebJobs|MailStorage|AZURE_|IDENTITY_|MSI_|KEY_VAULT_URI|GRAPH_ENDPOINT|LOCAL_|WEBSITE_|AzureFunctionsJobHost__|PORT$|.*_SCHEDULE$|.*_RETENTION_DAYS$|IMPORT_BUDGET_SECONDS|NODE_EXTRA_CA_CERTS$)/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !settings.test(name)));
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
process.exit();
