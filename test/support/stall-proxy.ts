import { connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

export type Direction = 'toClient' | 'toServer';

/** One trouble: once `after` bytes have passed, or up to and with the first match of `at`, the proxy does `action`. */
export interface Trouble {
  readonly direction: Direction;
  readonly after?: number;
  readonly at?: string;
  /** `silent`: the connection stays open and nothing more passes, either way. `cut`: both sockets are destroyed. */
  readonly action: 'silent' | 'cut';
}

export interface StallProxyOptions {
  readonly host: string;
  readonly port: number;
  /** Present: clients speak TLS to the proxy, from the first byte, and the proxy plain text to the server. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Capability words that clients never get to see, such as `UIDPLUS`. */
  readonly hideCapabilities?: readonly string[];
}

/** A TCP proxy in front of a server, that can go silent or cut the line at a chosen moment. */
export interface StallProxy {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** The next connections (and those open now) get this trouble. */
  trouble(trouble: Trouble): void;
  /** No more trouble; connections that are stuck are cut. */
  reset(): void;
  /** Lines that clients have sent since the last `reset`, credentials included. */
  sent(): readonly string[];
  /** The same as it came, mail included. */
  sentText(): string;
  /** Connections open now. */
  open(): number;
  /** Connections there have been in all. */
  connections(): number;
  stop(): Promise<void>;
}

/** Longest capability answer that is put together before it is rewritten. */
const MAX_CAPABILITY_LINE = 16_384;

export async function startStallProxy(options: StallProxyOptions): Promise<StallProxy> {
  let trouble: Trouble | undefined;
  let sent = '';
  let connections = 0;
  const pairs = new Set<Pair>();
  const onClient = (client: Socket) => {
    const pair = new Pair(client, options, {
      trouble: () => trouble,
      sent: (bytes) => {
        sent += bytes.toString('latin1');
      },
    });
    pairs.add(pair);
    connections += 1;
    client.once('close', () => pairs.delete(pair));
  };
  const server = options.tls ? createTlsServer(options.tls, onClient) : createServer(onClient);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    host: '127.0.0.1',
    port: address.port,
    trouble: (next) => {
      trouble = next;
      for (const pair of pairs) pair.startOver();
    },
    reset: () => {
      trouble = undefined;
      sent = '';
      for (const pair of pairs) if (pair.stuck) pair.cut();
    },
    sent: () => sent.split('\r\n').filter((line) => line !== ''),
    sentText: () => sent,
    open: () => pairs.size,
    connections: () => connections,
    stop: async () => {
      for (const pair of pairs) pair.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Rules {
  trouble(): Trouble | undefined;
  sent(bytes: Buffer): void;
}

/** A client's connection and the one to the server behind it. */
class Pair {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #options: StallProxyOptions;
  readonly #rules: Rules;
  readonly #passed = { toClient: 0, toServer: 0 };
  /** The last bytes of each direction, so that a pattern is found across two chunks. */
  readonly #tail = { toClient: Buffer.alloc(0), toServer: Buffer.alloc(0) };
  #held: Buffer = Buffer.alloc(0);
  stuck = false;

  constructor(client: Socket, options: StallProxyOptions, rules: Rules) {
    this.#client = client;
    this.#options = options;
    this.#rules = rules;
    this.#server = connect(options.port, options.host);
    for (const socket of [client, this.#server]) {
      socket.setNoDelay(true);
      // What ended one side ends the other; the test looks at what its own side makes of it.
      socket.on('error', () => this.cut());
      socket.on('close', () => this.cut());
    }
    client.on('data', (chunk: Buffer) => {
      rules.sent(chunk);
      this.#pass('toServer', chunk);
    });
    this.#server.on('data', (chunk: Buffer) => this.#pass('toClient', this.#withoutHidden(chunk)));
  }

  startOver(): void {
    this.#passed.toClient = 0;
    this.#passed.toServer = 0;
  }

  cut(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  #pass(direction: Direction, chunk: Buffer): void {
    if (this.stuck || chunk.length === 0) return;
    const trouble = this.#rules.trouble();
    const end = trouble?.direction === direction ? this.#endOf(trouble, direction, chunk) : undefined;
    const target = direction === 'toClient' ? this.#client : this.#server;
    const source = direction === 'toClient' ? this.#server : this.#client;
    const part = end === undefined ? chunk : chunk.subarray(0, end);
    this.#passed[direction] += part.length;
    if (trouble !== undefined && end !== undefined) {
      this.stuck = true;
      if (trouble.action === 'silent') target.write(part);
      else target.write(part, () => this.cut());
      return;
    }
    if (!target.write(part)) {
      source.pause();
      target.once('drain', () => source.resume());
    }
  }

  /** How much of `chunk` still passes; undefined while the moment has not come. */
  #endOf(trouble: Trouble, direction: Direction, chunk: Buffer): number | undefined {
    if (trouble.after !== undefined) {
      const left = trouble.after - this.#passed[direction];
      return left <= chunk.length ? Math.max(left, 0) : undefined;
    }
    if (trouble.at === undefined) return 0;
    const seen = Buffer.concat([this.#tail[direction], chunk]);
    const found = seen.indexOf(trouble.at, 0, 'latin1');
    const before = this.#tail[direction].length;
    this.#tail[direction] = seen.subarray(Math.max(0, seen.length - trouble.at.length + 1));
    return found < 0 ? undefined : Math.max(0, found + trouble.at.length - before);
  }

  #withoutHidden(chunk: Buffer): Buffer {
    const hidden = this.#options.hideCapabilities;
    if (!hidden || hidden.length === 0) return chunk;
    const text = Buffer.concat([this.#held, chunk]).toString('latin1');
    this.#held = Buffer.alloc(0);
    const lastLine = text.lastIndexOf('\n') + 1;
    const rest = text.slice(lastLine);
    // A capability answer that has not ended yet waits for its end, lest a word be cut in two.
    const waits = rest.length > 0 && rest.length < MAX_CAPABILITY_LINE && /^\*( C|$| $)|\[C/.test(rest);
    if (waits) this.#held = Buffer.from(rest, 'latin1');
    const ready = waits ? text.slice(0, lastLine) : text;
    const shown = ready.replace(/(\* |\[)CAPABILITY [^\r\n\]]*/g, (line) =>
      line
        .split(' ')
        .filter((word) => !hidden.includes(word))
        .join(' '),
    );
    return Buffer.from(shown, 'latin1');
  }
}
