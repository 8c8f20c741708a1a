import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';

/** A predecessor whose parent was killed needs a moment to write its data down. */
const patienceMs = 15_000;
const retryMs = 100;
const socketName = 'in-use.sock';

/**
 * Makes the working directory this process's own: two Azurites on the same files would destroy them. A socket, since
 * the system closes it with the process, however that ends (a file with a process id would stay behind). Relative,
 * since the path of a Unix socket may have about 100 characters only. Throws when someone else keeps it.
 */
export async function lockWorkingDirectory(): Promise<Server> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const server = createServer((socket) => socket.destroy());
    try {
      server.listen(socketName);
      await once(server, 'listening');
      return server;
    } catch (error) {
      if (!isAddressInUse(error)) throw error;
    }
    if (await isAnswered()) {
      if (Date.now() > deadline) throw new Error('another process already uses this data directory');
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    } else {
      await rm(socketName, { force: true });
    }
  }
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

async function isAnswered(): Promise<boolean> {
  const socket = connect(socketName);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
