import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type Host, startHost } from './host.ts';
import { messageOf } from './log.ts';

/** Exit codes: 0 stopped as asked, 1 did not start or died of an error, 2 wrong arguments, 75 restart me, 130 cut short. */
const EXIT = { stopped: 0, notStarted: 1, usage: 2, restart: 75, immediately: 130 } as const;
const USAGE = 'usage: main.ts --app <dir> [--port <n>] [--address <ip>] [--supervised]';
/** Time for the last lines to reach a supervisor before the process ends. */
const TELL_TIME = 250;

/**
 * Runs a host as a process of its own. Environment: PORT, LOCAL_FUNCTION_KEY, LOCAL_MASTER_KEY (made and printed when
 * not given), LOCAL_SINGLE_FUNCTION_KEYS (JSON: name of a function to a key that opens it alone), LOCAL_READY_MAILBOXES (JSON: what the console offers to connect). With an IPC channel it reports `{ type: 'ready', port }`, and stops when the parent is gone; then, or
 * with `--supervised`, an invocation beyond functionTimeout ends the process with code 75, to be started again.
 */
async function main(): Promise<void> {
  const args = readArguments();
  if (!args) return end(EXIT.usage, USAGE);
  const supervised = args.supervised || process.connected;
  const hasParent = process.connected;
  let host: Host;
  try {
    host = await startHost({
      appDir: args.app,
      port: args.port,
      address: args.address,
      keys: {
        masterKey: keyFrom('LOCAL_MASTER_KEY'),
        hostKeys: { default: keyFrom('LOCAL_FUNCTION_KEY') },
        functionKeys: singleFunctionKeys(),
      },
      readyMailboxes: process.env.LOCAL_READY_MAILBOXES || undefined,
      onRestartNeeded: supervised ? restart : undefined,
    });
  } catch (error) {
    return end(EXIT.notStarted, `The Functions host did not start: ${messageOf(error)}`);
  }
  stopWhenAsked(host);
  // It went away while the app was loading, unheard.
  if (hasParent && !process.connected) process.kill(process.pid, 'SIGTERM');
  console.log(`Functions host listening on ${host.url}`);
  sendToParent({ type: 'ready', port: host.port });
}

function singleFunctionKeys(): Record<string, Record<string, string>> {
  const given = z.record(z.string(), z.string()).parse(JSON.parse(process.env.LOCAL_SINGLE_FUNCTION_KEYS || '{}'));
  return Object.fromEntries(Object.entries(given).map(([name, key]) => [name, { default: key }]));
}

/** A parent may be gone by now; then nobody reads it. */
function sendToParent(message: object): void {
  if (process.connected) process.send?.(message);
}

function stopWhenAsked(host: Host): void {
  let asked = false;
  const stop = () => {
    if (asked) process.exit(EXIT.immediately);
    asked = true;
    host.stop().then(
      () => process.exit(EXIT.stopped),
      (error: unknown) => end(EXIT.notStarted, `The stop failed: ${messageOf(error)}`),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.once('disconnect', () => {
    if (!asked) stop();
  });
}

function restart(functionName: string): void {
  console.error(`'${functionName}' ran into functionTimeout: the process ends, to be started again, as in Azure.`);
  sendToParent({ type: 'restart', reason: 'functionTimeout', functionName });
  setTimeout(() => process.exit(EXIT.restart), TELL_TIME);
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        app: { type: 'string' },
        port: { type: 'string' },
        address: { type: 'string' },
        supervised: { type: 'boolean', default: false },
      },
    });
    const text = values.port ?? process.env.PORT;
    const port = text === undefined || text === '' ? undefined : Number(text);
    if (values.app === undefined) return undefined;
    if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) return undefined;
    return { app: values.app, port, address: values.address, supervised: values.supervised };
  } catch {
    return undefined;
  }
}

function keyFrom(name: string): string {
  const given = process.env[name];
  if (given !== undefined && given !== '') return given;
  const made = randomBytes(32).toString('base64url');
  console.log(`${name}=${made}`);
  return made;
}

function end(code: number, line: string): void {
  console.error(line);
  process.exit(code);
}

await main();
