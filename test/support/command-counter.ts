import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a mail server that keeps the lines which clients send. */
export interface CommandCounter {
  readonly port: number;
  /** What came through since the last call. */
  take(): readonly string[];
  /** Cuts all connections. */
  stop(): Promise<void>;
}

/** Passes everything on, and keeps what clients say, a line each: for dialogues without TLS. */
export async function startCommandCounter(target: {
  readonly host: string;
  readonly port: number;
}): Promise<CommandCounter> {
  let lines: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const back = connect(target);
    for (const [one, other] of [
      [client, back],
      [back, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
      one.once('close', () => sockets.delete(one));
      one.pipe(other);
    }
    let rest = '';
    client.on('data', (chunk) => {
      const all = (rest + chunk.toString('latin1')).split('\r\n');
      rest = all.pop() ?? '';
      lines.push(...all);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    take: () => {
      const taken = lines;
      lines = [];
      return taken;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
