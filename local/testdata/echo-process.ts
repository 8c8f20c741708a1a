import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

// Stands in for the function host: answers with its process id, or ends at once where FAIL is set.
if (process.env.FAIL) process.exit(3);
const server = createServer((_, response) => response.end(String(process.pid)));
server.listen(Number(process.env.PORT), '127.0.0.1', () => {
  process.send?.({ type: 'ready', port: (server.address() as AddressInfo).port });
});
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
