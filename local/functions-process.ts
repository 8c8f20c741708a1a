import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { bundled, compiledOnce } from './bundled.ts';

export interface FunctionsProcessOptions {
  /** The whole environment, without PORT. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** 0: the system picks at the first start, and restarts keep it. */
  readonly port: number;
  /** Folder of the app. Absent: this project. */
  readonly appDirectory?: string | undefined;
  /** Where its output goes: this process's own, or an open file. */
  readonly output: 'inherit' | number;
  /** Said once a start has succeeded, the first and every later one. */
  readonly onReady: (pid: number, port: number) => void;
  /** Said when it ended without being asked to. */
  readonly onCrash: (how: string, restartInMs: number) => void;
  /** Instead of the function host on this app. */
  readonly command?: readonly [modulePath: string, ...args: string[]];
}

export interface FunctionsProcess {
  /** Settles once it answers. Rejects when it ends before it ever did: that is a mistake to mend, not to repeat. */
  start(): Promise<{ readonly pid: number; readonly port: number }>;
  /** Asks it to end, and waits until it has finished what it was doing. */
  stop(): Promise<void>;
}

/** Time from start to answer: the host loads the app and creates what is missing in storage. */
const startMs = 60_000;
/** A send or an import under way may take this long to come to a good end. */
const stopMs = 45_000;
const firstBackoffMs = 250;
const maxBackoffMs = 30_000;
/** One that lived this long had no trouble starting: the back-off begins again. */
const settledMs = 10_000;

const readySchema = z.object({ type: z.literal('ready'), port: z.int().min(1).max(65_535) });
const root = fileURLToPath(new URL('..', import.meta.url));
const host = fileURLToPath(new URL('host/main.ts', import.meta.url));

/** The functions, in a process of their own that is started again whenever it ends, as Azure does. */
export function functionsProcess(options: FunctionsProcessOptions): FunctionsProcess {
  const appDirectory = options.appDirectory ?? root;
  let port = options.port;
  let child: ChildProcess | undefined;
  let stopping = false;
  let backoffMs = firstBackoffMs;
  let restart: NodeJS.Timeout | undefined;

  async function start(): Promise<{ pid: number; port: number }> {
    // A process group of its own: Ctrl-C must reach it as an orderly stop, not as a signal of its own.
    const [modulePath, ...args] = options.command ?? [await bundled(host), '--app', appDirectory];
    if (stopping) throw new Error('The functions process is to stop');
    const started = fork(modulePath, args, {
      cwd: appDirectory,
      env: { ...compiledOnce(), ...options.env, PORT: String(port) },
      execArgv: [],
      detached: true,
      stdio: ['ignore', options.output, options.output, 'ipc'],
    });
    child = started;
    const ended = once(started, 'exit');
    const timer = setTimeout(() => started.kill('SIGKILL'), startMs);
    let ready: { port: number };
    try {
      ready = await firstReady(started, ended);
    } finally {
      clearTimeout(timer);
    }
    port = ready.port;
    const pid = started.pid ?? 0;
    const readyAt = Date.now();
    ended.then(() => {
      if (stopping) return;
      if (Date.now() - readyAt > settledMs) backoffMs = firstBackoffMs;
      scheduleRestart(how(started));
    });
    options.onReady(pid, port);
    return { pid, port };
  }

  function scheduleRestart(reason: string): void {
    options.onCrash(reason, backoffMs);
    restart = setTimeout(() => {
      start().catch((error: unknown) => {
        if (!stopping) scheduleRestart(error instanceof Error ? error.message : String(error));
      });
    }, backoffMs);
    backoffMs = Math.min(backoffMs * 2, maxBackoffMs);
  }

  return {
    start,
    async stop() {
      stopping = true;
      clearTimeout(restart);
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const running = child;
      const ended = once(running, 'exit');
      const timer = setTimeout(() => running.kill('SIGKILL'), stopMs);
      running.kill('SIGTERM');
      await ended;
      clearTimeout(timer);
    },
  };
}

async function firstReady(child: ChildProcess, ended: Promise<unknown>): Promise<{ port: number }> {
  const ready = new Promise<{ port: number }>((resolve) => {
    child.on('message', (message) => {
      const parsed = readySchema.safeParse(message);
      if (parsed.success) resolve(parsed.data);
    });
  });
  const first = await Promise.race([ready, ended.then(() => undefined)]);
  if (!first) throw new Error(`ended (${how(child)}) before it answered`);
  return first;
}

function how(child: ChildProcess): string {
  return child.signalCode ?? `exit code ${child.exitCode}`;
}
