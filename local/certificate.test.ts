import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { type LocalCertificate, localCertificate, makeCertificate } from './certificate.ts';

const dayMs = 86_400_000;
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function handshake(certificate: LocalCertificate, ca: string, servername?: string): Promise<TLSSocket> {
  const server = createServer({ key: certificate.key, cert: certificate.cert }, (socket) => socket.end());
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: '127.0.0.1', port, ca, ...(servername === undefined ? {} : { servername }) });
  cleanups.push(async () => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

test('a TLS client that trusts the authority accepts the certificate by name and by address', async () => {
  const certificate = await makeCertificate();
  expect((await handshake(certificate, certificate.ca, 'localhost')).authorized).toBe(true);
  expect((await handshake(certificate, certificate.ca)).authorized).toBe(true);
});

test('another authority and another name are refused', async () => {
  const certificate = await makeCertificate();
  await expect(handshake(certificate, (await makeCertificate()).ca, 'localhost')).rejects.toThrow();
  await expect(handshake(certificate, certificate.ca, 'example.com')).rejects.toThrow(/altnames|Hostname/);
});

test('the certificate is kept, its key private, and renewed when damaged or near its end', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'certificate-'));
  cleanups.push(() => rm(directory, { recursive: true }));
  const now = Date.now();
  const first = await localCertificate(directory, now);
  expect(await readFile(first.caFile, 'utf8')).toBe(first.ca);
  expect((await stat(join(directory, 'server-key.pem'))).mode & 0o777).toBe(0o600);
  expect(await localCertificate(directory, now + dayMs)).toEqual(first);

  const renewed = await localCertificate(directory, now + 340 * dayMs);
  expect(renewed.cert).not.toBe(first.cert);
  expect(Date.parse(new X509Certificate(renewed.cert).validTo)).toBeGreaterThan(now + 400 * dayMs);

  await writeFile(join(directory, 'server-key.pem'), first.key);
  const repaired = await localCertificate(directory, now + 340 * dayMs);
  expect(repaired.cert).not.toBe(renewed.cert);
});
