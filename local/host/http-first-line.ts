import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** A method in small letters, where a request line begins. */
const LOWER_CASE_METHOD = /^(?:delete|get|head|options|patch|post|put) /;

/**
 * Lets `server` take methods in lower case, as Kestrel does; Node.js ends such a connection. Only the first request of
 * a connection is looked at: nobody's client mixes its letters from request to request.
 *
 * @returns ends the connections on which nothing has come yet.
 */
export function takeLowerCaseMethods(server: Server): () => void {
  const [serve] = server.listeners('connection');
  if (serve === undefined) throw new Error('the server has no connection listener');
  const silent = new Set<Socket>();
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    silent.add(socket);
    const forget = () => silent.delete(socket);
    const fail = () => socket.destroy();
    socket.on('error', fail);
    socket.once('close', forget);
    socket.once('data', (first: Buffer) => {
      forget();
      socket.off('close', forget);
      socket.off('error', fail);
      socket.pause();
      const method = LOWER_CASE_METHOD.exec(first.toString('latin1', 0, 16))?.[0];
      if (method !== undefined) first.write(method.toUpperCase(), 'latin1');
      Reflect.apply(serve, server, [socket]);
      socket.unshift(first);
      socket.resume();
    });
  });
  return () => {
    for (const socket of silent) socket.destroy();
  };
}
