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
 * is under way. That is the latency of a network, and no limit of its bandwidth. A way takes at least as long as was
 * said, and as a rule up to a millisecond more: timers of Node know no less.
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
      const line = new Line();
      const later = (act: () => void) => line.add(roundTripMs / 2, act);
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

/** What is under way in one direction: it arrives in the order in which it was sent, on whatever way. */
class Line {
  readonly #waiting: { readonly at: number; readonly act: () => void }[] = [];

  add(ms: number, act: () => void): void {
    if (ms === 0 && this.#waiting.length === 0) {
      act();
      return;
    }
    this.#waiting.push({ at: performance.now() + ms, act });
    if (this.#waiting.length === 1) this.#wait();
  }

  /** For the first of them; those that are due by then go with it. */
  #wait(): void {
    const first = this.#waiting[0];
    if (!first) return;
    // A timer takes whole milliseconds, and cuts off what is beyond.
    setTimeout(() => this.#arrive(), Math.max(0, Math.ceil(first.at - performance.now())));
  }

  #arrive(): void {
    for (let first = this.#waiting[0]; first && first.at <= performance.now(); first = this.#waiting[0]) {
      first.act();
      this.#waiting.shift();
    }
    this.#wait();
  }
}
