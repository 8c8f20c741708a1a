import type net from 'node:net';
import tls from 'node:tls';

/**
 * TLS on a connected socket. Rejects with the error of TLS, or with the signal's reason; the socket is destroyed then.
 * `timeout`: limit of the handshake in ms; 0: only the signal bounds it.
 */
export function startTls(
  socket: net.Socket,
  options: tls.ConnectionOptions,
  { host, timeout }: { readonly host: string; readonly timeout: number },
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = tls.connect({ ...options, socket, host });
    const stopListening = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      secured.off('secureConnect', onSecure).off('error', fail).off('close', onClose);
    };
    const fail = (error: unknown) => {
      stopListening();
      // A socket that is given up may still report errors; nobody is left to hear them.
      for (const each of [secured, socket]) each.on('error', () => {}).destroy();
      reject(error);
    };
    const onSecure = () => {
      stopListening();
      resolve(secured);
    };
    const onClose = () => fail(Object.assign(new Error('closed in the handshake'), { code: 'ECONNRESET' }));
    const onAbort = () => fail(signal.reason);
    const onTime = () => fail(Object.assign(new Error('the handshake took too long'), { code: 'ETIMEDOUT' }));
    const timer = timeout > 0 ? setTimeout(onTime, timeout) : undefined;
    secured.once('secureConnect', onSecure).once('error', fail).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
