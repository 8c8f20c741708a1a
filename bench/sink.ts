import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const readySchema = z.object({ port: z.int() });
const reportSchema = z.object({ arrivals: z.array(z.number()), bytes: z.number() });

export interface Sink {
  readonly port: number;
  /** When each mail had been taken whole, in milliseconds since the epoch, and their bytes together. */
  report(): Promise<z.output<typeof reportSchema>>;
  stop(): Promise<void>;
}

/** Starts an SMTP server that drops what it accepts, in a process of its own: its memory and time are not the app's. */
export async function startSink(): Promise<Sink> {
  const child = fork(fileURLToPath(new URL('sink-process.ts', import.meta.url)), [], { execArgv: [] });
  const ended = once(child, 'exit').then(() => [undefined]);
  const next = async () => {
    const [message]: unknown[] = await Promise.race([once(child, 'message'), ended]);
    return message;
  };
  const { port } = readySchema.parse(await next());
  return {
    port,
    async report() {
      const answer = next();
      child.send('report');
      return reportSchema.parse(await answer);
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
