import net from 'node:net';
import tls from 'node:tls';
import { mailNetwork, type NetworkPolicy } from './mail-network.ts';

/** Where a socket is opened to, and how. */
export interface SocketTarget {
  readonly host: string;
  readonly port: number;
  /** Present: TLS from the first byte (RFC 8314 section 3.3). */
  readonly tls?: tls.ConnectionOptions;
  /** Limit in ms for name look-up, TCP and TLS handshake together; 0: only the signal bounds it. */
  readonly timeout: number;
  /** Which addresses may be connected to; absent: none of the machine's own networks. */
  readonly network?: NetworkPolicy | undefined;
}

/** Carries a system-style code, so that it is explained like the system's own. */
class ConnectTimeout extends Error {
  readonly code = 'ETIMEDOUT';
}

/**
 * Opens a connected socket, and with `tls` one whose handshake is done. Tries every address of the host (RFC 8305) that
 * may be connected to. Rejects with AddressRefused, the error of the system or of TLS, or the signal's reason.
 */
export function openSocket(target: SocketTarget, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const { host, port, network = mailNetwork() } = target;
    network.checkHost(host);
    const to = { host, port, lookup: network.lookup };
    const socket = target.tls ? tls.connect({ ...target.tls, ...to }) : net.connect(to);
    const ready = target.tls ? 'secureConnect' : 'connect';

    const stopListening = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.off(ready, onReady).off('error', onError).off('close', onClose);
    };
    const fail = (error: unknown) => {
      stopListening();
      // A socket that is given up may still report errors; nobody is left to hear them.
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onReady = () => {
      stopListening();
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
