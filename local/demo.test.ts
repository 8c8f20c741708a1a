import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const demo = fileURLToPath(new URL('demo.ts', import.meta.url));

test('the demo is true, whatever the shell has set for the real thing', { timeout: 180_000 }, async () => {
  const child = spawn(process.execPath, [demo], {
    env: { ...process.env, GRAPH_ENDPOINT: 'https://graph.example.com', KEY_VAULT_URI: 'https://vault.example.com' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk);
    });
  }
  const closed = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await closed;
  });
  const [code] = await closed;
  expect(output).toContain('All of it is true');
  expect(output).toMatch(/The third run brought nothing/);
  expect(code).toBe(0);
});
