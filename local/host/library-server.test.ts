import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { limitLibraryServer } from './library-server.ts';

let server: Server | undefined;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

afterEach(() => {
  agent.destroy();
  server?.closeAllConnections();
  server?.close();
});

/** Answers whether the request went over a connection that was used before. */
function ask(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const asked = request({ agent, host: '127.0.0.1', port }, (response) => {
      response.resume().once('end', () => resolve(asked.reusedSocket));
    });
    asked.once('error', reject);
    asked.end();
  });
}

it('keeps a connection until the host closes it: none is lost under a request, however late the process is', async () => {
  // Node waits a second longer than this.
  const library = createServer({ keepAliveTimeout: 5 }, (_, response) => response.end());
  server = library;
  await new Promise<void>((resolve) => library.listen(0, '127.0.0.1', resolve));
  const { port } = library.address() as AddressInfo;
  limitLibraryServer([library], new URL(`http://127.0.0.1:${port}`), undefined);
  expect(await ask(port)).toBe(false);
  // The agent has taken the connection back.
  await new Promise(setImmediate);
  // As on a machine that has no time for this process: all timers are over when it goes on, none has been heard.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_200);
  expect(await ask(port)).toBe(true);
});
