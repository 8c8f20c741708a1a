import { connect, createServer, type Socket } from 'node:net';

export interface RefusingProxy {
  readonly port: number;
  /**
   * What the server gets in place of a line of the client, so that it refuses that in its turn; undefined: the line itself.
   */
  refuse(instead: (line: string) => string | undefined): void;
  stop(): Promise<void>;
}

/** Stands before a mail server and has it refuse what a test names. */
export async function startRefusingProxy(to: { readonly host: string; readonly port: number }): Promise<RefusingProxy> {
  const sockets = new Set<Socket>();
  let inPlaceOf: (line: string) => string | undefined = () => undefined;
  const server = createServer((client) => {
    const onward = connect(to.port, to.host);
    let pending = '';
    for (const socket of [client, onward]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        onward.destroy();
      });
    }
    onward.on('data', (chunk) => client.write(chunk));
    client.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      for (let end = pending.indexOf('\r\n'); end >= 0; end = pending.indexOf('\r\n')) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 2);
        onward.write(`${inPlaceOf(line) ?? line}\r\n`, 'latin1');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    port: address.port,
    refuse(instead) {
      inPlaceOf = instead;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Whether an IMAP sequence set, such as `1:3,7`, names a UID. */
export function namesUid(set: string, uid: number): boolean {
  return set.split(',').some((part) => {
    const [from = '', to = from] = part.split(':');
    return Number(from) <= uid && uid <= Number(to);
  });
}
