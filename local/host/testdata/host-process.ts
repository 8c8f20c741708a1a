import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { HOST_KEY, MASTER_KEY } from './test-host.ts';

export interface HostProcess {
  readonly child: ChildProcess;
  /** Standard output and standard error so far. */
  readonly output: () => string;
  /** Messages it sent over its IPC channel so far. */
  readonly messages: readonly unknown[];
  readonly exit: Promise<readonly [code: number | null, signal: NodeJS.Signals | null]>;
  /** The port of its ready message; rejects when it ends before. */
  readonly ready: Promise<number>;
}

/** Starts main.ts as a process with an IPC channel. */
export function forkHost(args: readonly string[], env: NodeJS.ProcessEnv = {}): HostProcess {
  const child = fork(fileURLToPath(new URL('../main.ts', import.meta.url)), args, {
    env: { PATH: process.env.PATH, LOCAL_MASTER_KEY: MASTER_KEY, LOCAL_FUNCTION_KEY: HOST_KEY, ...env },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const messages: unknown[] = [];
  // Not 'close': it does not come once this side has cut the channel.
  const printed = [child.stdout, child.stderr].map((stream) => stream && finished(stream));
  const exit = once(child, 'exit').then(async ([code, signal]) => {
    await Promise.all(printed);
    return [code, signal] as const;
  });
  const ready = new Promise<number>((resolve, reject) => {
    child.on('message', (message: unknown) => {
      messages.push(message);
      if (typeof message === 'object' && message !== null && 'port' in message) resolve(Number(message.port));
    });
    void exit.then(([code]) => reject(new Error(`the host ended with ${code}:\n${output}`)));
  });
  ready.catch(() => undefined);
  return { child, output: () => output, messages, exit, ready };
}
