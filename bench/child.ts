import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** No measurement in a process of its own takes this long. */
const limitMs = 300_000;

const replySchema = z.union([z.object({ result: z.unknown() }), z.object({ error: z.string() })]);

/** Runs a module in a fresh process, hands it `input` and answers what it says (see `serve`). */
export async function inFreshProcess<T>(module: URL, input: unknown, answer: z.ZodType<T>): Promise<T> {
  const child = fork(fileURLToPath(module), [], { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  try {
    child.send(input as object);
    const message = await Promise.race([once(child, 'message').then(([first]: unknown[]) => first), ended]);
    const reply = replySchema.safeParse(message);
    if (!reply.success) throw new Error(`${fileURLToPath(module)} ended without an answer`);
    if ('error' in reply.data) throw new Error(reply.data.error);
    return answer.parse(reply.data.result);
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
    await ended;
  }
}

/** The other end of `inFreshProcess`: reads the input, works, answers. Ends with the parent. */
export function serve<I>(input: z.ZodType<I>, work: (input: I) => Promise<unknown>): void {
  process.once('disconnect', () => process.exit(1));
  process.once('message', (message) => {
    (async () => work(input.parse(message)))().then(
      (result) => process.send?.({ result }),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
}
