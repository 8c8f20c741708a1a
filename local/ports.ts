import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';

/** Whether somebody could listen on this port of 127.0.0.1 now. */
export async function isPortFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** Ports below are kept for services that everybody knows. */
const lowest = 10_240;
/** Most ports that are tried before there is taken to be none. */
const mostTries = 1_000;
/** Two that ask in one process never get the same. */
const given = new Set<number>();

/**
 * A port that is free now, for what must be known before anybody listens on it, or must stay the same across a restart.
 * It is none of those that the system gives to whoever asks for any: one of these may belong to somebody else a
 * moment later.
 */
export async function freePort(): Promise<number> {
  const above = await firstOfSystem();
  for (let tries = 0; tries < mostTries; tries += 1) {
    const port = randomInt(lowest, above);
    if (given.has(port) || !(await isPortFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`No port from ${lowest} to ${above - 1} is free`);
}

/** Where the ports begin that the system gives out: Linux says so, others begin no lower. */
async function firstOfSystem(): Promise<number> {
  const range = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => '');
  const first = Number.parseInt(range, 10);
  return first > lowest ? first : 32_768;
}

/** A port that people remember, or 0 (the system picks) where it is taken. */
export async function preferredPort(port: number): Promise<number> {
  return (await isPortFree(port)) ? port : 0;
}
