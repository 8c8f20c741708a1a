import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from '../build.ts';
import { appArgument } from './app-argument.ts';
import { LaptopParts } from './laptop.ts';
import { nextSteps } from './next-steps.ts';
import { onNpmGone } from './npm-parent.ts';
import { isPortFree } from './ports.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const defaultPort = 7071;
/** Not the privileged 25 and 143, but those that people try next. */
const mailPorts = { smtp: 2525, imap: 1143 } as const;

/**
 * `npm start [-- --app DIR]`: everything that Mailroom needs, on this machine, until Ctrl-C or SIGTERM; with `--app` the
 * app in that folder, as an unpacked package, instead of this project's.
 */
async function main(): Promise<number> {
  const appDirectory = appArgument(process.argv.slice(2));
  const say = (line: string) => console.log(line);
  const port = Number(process.env.PORT || defaultPort);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error('PORT must be a number from 0 to 65535');
    return 1;
  }
  if (!(await isPortFree(port))) {
    console.error(`Port ${port} on 127.0.0.1 is in use; choose another with PORT=...`);
    return 1;
  }

  const ending = new AbortController();
  const ended = new Promise<number>((finish) => {
    ending.signal.addEventListener('abort', () => finish(typeof ending.signal.reason === 'string' ? 1 : 0));
  });
  let asked = 0;
  const stop = () => {
    // Children notice that this process is gone, and end by themselves.
    if (++asked > 2) process.exit(1);
    if (asked === 1) say('Stopping ...');
    ending.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  onNpmGone(stop);

  const parts = new LaptopParts({
    env: process.env,
    appDirectory,
    dataDirectory: resolve(root, process.env.LOCAL_DATA_DIR || '.local'),
    port,
    mailPorts,
    output: 'inherit',
    say,
    onLoss(reason) {
      console.error(`${reason}; stopping`);
      ending.abort(reason);
    },
    signal: ending.signal,
  });
  let code = 0;
  try {
    if (appDirectory === undefined) {
      const names = await build();
      say(`Built dist/main.cjs with ${names.length} functions`);
    }
    ending.signal.throwIfAborted();
    const laptop = await parts.start();
    for (const line of nextSteps(laptop, process.env)) say(line);
    code = await ended;
  } catch (error) {
    if (ending.signal.aborted) {
      code = await ended;
    } else {
      console.error(error instanceof Error ? error.message : String(error));
      code = 1;
    }
  }
  await parts.stop();
  say('Stopped');
  return code;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
process.exit();
