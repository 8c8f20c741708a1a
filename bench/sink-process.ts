import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/**
 * An SMTP server in a process of its own that accepts every mail and keeps nothing but when it came. Says
 * `{ port }` at the start, and `{ arrivals, bytes }` (milliseconds since the epoch) whenever it is sent a message.
 */
const maxBytes = 256 * 1024 * 1024;

const arrivals: number[] = [];
let bytes = 0;
const server = new SMTPServer({
  disabledCommands: ['STARTTLS', 'AUTH'],
  disableReverseLookup: true,
  size: maxBytes,
  onData(stream, _session, callback) {
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.once('end', () => {
      arrivals.push(Date.now());
      callback(null, 'Accepted');
    });
  },
});
server.on('error', () => undefined);
server.listen(0, '127.0.0.1');
await once(server.server, 'listening');

process.on('message', () => process.send?.({ arrivals, bytes }));
process.once('disconnect', () => process.exit(0));
process.send?.({ port: (server.server.address() as AddressInfo).port });
