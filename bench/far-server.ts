import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a server that is further away. */
export interface FarServer {
  readonly port: number;
  /** From now on what is said takes so long to the server and back. In ms; half of it each way. */
  roundTrip(ms: number): void;
  /** Cuts all connections. */
  stop(): Promise<void>;
}

const host = '127.0.0.1';

/**
 * Passes on, in both directions, what comes on a port, some time later: as much as comes, in its order, and however much
 * is under way. That is the latency of a network, and no limit of its bandwidth.
 */
export async function startFarServer(targetPort: number): Promise<FarServer> {
  let roundTripMs = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const back = connect({ host, port: targetPort, noDelay: true });
    for (const [from, to] of [
      [client, back],
      [back, client],
    ] as const) {
      sockets.add(from);
      let last = 0;
      const later = (act: () => void) => {
        // A shorter way later on must not overtake what is under way.
        last = Math.max(last, performance.now() + roundTripMs / 2);
        const wait = last - performance.now();
        if (roundTripMs === 0 && wait <= 0) act();
        else setTimeout(act, Math.max(0, wait));
      };
      from.on('data', (chunk: Buffer) => later(() => to.write(chunk)));
      from.once('end', () => later(() => to.end()));
      from.on('error', () => to.destroy());
      from.once('close', () => {
        sockets.delete(from);
        later(() => to.destroy());
      });
    }
  });
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    roundTrip: (ms) => {
      roundTripMs = ms;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
