import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

/** No measurement in a process of its own takes this long. */
const limitMs = 300_000;
/** A process that is asked to end is given this long: it ends what it has started. */
const endMs = 10_000;

const replySchema = z.union([z.object({ result: z.unknown() }), z.object({ error: z.string() })]);

/** A process did not answer in the time it was given. */
export class TookTooLong extends Error {
  constructor(ms: number) {
    super(`took too long: no end after ${Math.round(ms / 1000)} s`);
  }
}

/** Runs a module in a fresh process, hands it `input` and answers what it says (see `serve`). */
export async function inFreshProcess<T>(
  module: URL,
  input: object,
  answer: z.ZodType<T>,
  within: number = limitMs,
): Promise<T> {
  const path = fileURLToPath(module);
  const child = fork(path, [], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // JSON has no NaN.
    serialization: 'advanced',
  });
  const ended = once(child, 'exit');
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TookTooLong(within)), within);
  });
  try {
    child.send(input);
    const message = once(child, 'message').then(([first]: unknown[]) => first);
    const reply = replySchema.safeParse(await Promise.race([message, ended, late]));
    if (!reply.success) throw new Error(`${path} ended without an answer`);
    if ('error' in reply.data) throw new Error(reply.data.error);
    return answer.parse(reply.data.result);
  } finally {
    clearTimeout(timer);
    await end(child, ended);
  }
}

async function end(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), endMs);
  await ended;
  clearTimeout(timer);
}

/**
 * The other end of `inFreshProcess`: reads the input, works, answers. Ends with the parent, or when it is told to. Does
 * nothing where another program imports the module for its schemas.
 */
export function serve<I>(module: ImportMeta, input: z.ZodType<I>, work: (input: I) => Promise<unknown>): void {
  if (module.filename !== process.argv[1]) return;
  // An ordinary end: what was started is ended by its exit handlers.
  process.once('disconnect', () => process.exit(1));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  process.once('message', (message) => {
    (async () => work(input.parse(message)))().then(
      (result) => process.send?.({ result }),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
}

/** What a script prints, run by Node in a process that ends with this one at the latest. */
export async function outputOf(script: string, args: readonly string[], within: number = limitMs): Promise<string> {
  const running = promisify(execFile)(process.execPath, [script, ...args], {
    maxBuffer: 256 << 20,
    timeout: within,
    killSignal: 'SIGKILL',
  });
  const kill = () => void running.child.kill('SIGKILL');
  process.once('exit', kill);
  try {
    return (await running).stdout;
  } catch (error) {
    throw running.child.killed ? new TookTooLong(within) : error;
  } finally {
    process.off('exit', kill);
  }
}
