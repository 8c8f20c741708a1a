import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A PowerShell that runs one script after the other, each in a session of its own: starting it takes seconds. */
export interface PowerShellSession {
  /** Code 1: the script ended with an error, or wrote one. */
  run(script: string): Promise<{ readonly code: number; readonly output: string }>;
  stop(): Promise<void>;
}

/** @param command PowerShell 7. */
export function startPowerShell(command: string): PowerShellSession {
  const file = fileURLToPath(new URL('session.ps1', import.meta.url));
  const child = spawn(command, ['-NoProfile', '-NonInteractive', '-File', file], {
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(script) {
      child.stdin.write(`${Buffer.from(script).toString('base64')}\n`);
      const output: string[] = [];
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error(`PowerShell ended:\n${output.join('\n')}`);
        const code = /^ended ([01])$/.exec(value)?.[1];
        if (code !== undefined) return { code: Number(code), output: output.join('\n') };
        output.push(value);
      }
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
