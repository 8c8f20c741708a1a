import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface AnswerProxy {
  readonly port: number;
  /** Cuts all connections. */
  stop(): Promise<void>;
}

/**
 * A way to a server that passes on what clients say, and leaves what comes back to `answers`: called for each connection
 * with the client's socket, it gives what is done with each chunk of the server's.
 */
export async function startAnswerProxy(
  target: { readonly host: string; readonly port: number },
  answers: (client: Socket) => (chunk: Buffer) => void,
): Promise<AnswerProxy> {
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
    }
    client.pipe(back);
    back.on('data', answers(client));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
