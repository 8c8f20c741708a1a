import net from 'node:net';
import tls from 'node:tls';

export interface SocketTarget {
  readonly host: string;
  readonly port: number;
  /** Present: TLS from the first byte (RFC 8314 section 3.3). */
  readonly tls?: tls.ConnectionOptions;
  /** Limit in ms for name look-up, TCP and TLS handshake together; 0: only the signal bounds it. */
  readonly timeout: number;
}

/** Carries a system-style code, so that it is explained like the system's own. */
class ConnectTimeout extends Error {
  readonly code = 'ETIMEDOUT';
}

/**
 * Opens a connected socket, and with `tls` one whose handshake is done. Tries every address of the host (RFC 8305).
 * Rejects with the error of the system or of TLS, or with the signal's reason.
 */
export function openSocket(target: SocketTarget, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const { host, port } = target;
    const socket = target.tls ? tls.connect({ ...target.tls, host, port }) : net.connect({ host, port });
    const ready = target.tls ? 'secureConnect' : 'connect';

    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.off(ready, onReady).off('error', onError).off('close', onClose);
    };
    const fail = (error: unknown) => {
      settle();
      // A socket that is given up may still report errors; nobody is left to hear them.
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onReady = () => {
      settle();
      resolve(socket);
    };
    const onError = (error: Error) => fail(error);
    const onClose = () => fail(Object.assign(new Error('closed while connecting'), { code: 'ECONNRESET' }));
    const onAbort = () => fail(signal.reason);
    const timer =
      target.timeout > 0
        ? setTimeout(() => fail(new ConnectTimeout('connecting took too long')), target.timeout)
        : undefined;

    socket.once(ready, onReady).once('error', onError).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
