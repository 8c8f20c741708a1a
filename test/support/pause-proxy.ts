import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a server on which everything can stand still for a while, and then goes on as if nothing had been. */
export interface PauseProxy {
  readonly port: number;
  /** From the next answer on that holds `text`, nothing comes back. Resolves at that moment. */
  pauseAt(text: string): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
}

export async function startPauseProxy(target: { readonly host: string; readonly port: number }): Promise<PauseProxy> {
  const sockets = new Set<Socket>();
  let waitingFor: { readonly text: string; readonly met: () => void } | undefined;
  let paused = false;
  let kept: (() => void)[] = [];
  const server = createServer({ noDelay: true }, (client) => {
    const back = connect(target);
    for (const [one, other] of [
      [client, back],
      [back, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
      one.once('close', () => sockets.delete(one));
    }
    client.pipe(back);
    back.on('data', (chunk: Buffer) => {
      if (waitingFor && chunk.includes(waitingFor.text)) {
        paused = true;
        waitingFor.met();
        waitingFor = undefined;
      }
      if (paused) kept.push(() => client.write(chunk));
      else client.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    pauseAt: (text) =>
      new Promise((resolve) => {
        waitingFor = { text, met: resolve };
      }),
    resume: () => {
      paused = false;
      const writes = kept;
      kept = [];
      for (const write of writes) write();
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
