import net from 'node:net';
import { expect, it } from 'vitest';
import { explainNetError } from './net-errors.ts';

const failing = (options: net.NetConnectOpts): Promise<unknown> =>
  new Promise((resolve) => {
    const socket = net.connect(options);
    socket.once('error', resolve).once('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
  });

it('explains what the system really says', async () => {
  const dns = explainNetError(await failing({ host: 'no-such-host.invalid', port: 25 }));
  expect(dns.kind).toBe('dns');
  const free = net.createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const address = free.address();
  await new Promise((resolve) => free.close(resolve));
  const port = address !== null && typeof address !== 'string' ? address.port : 0;
  // Both addresses of localhost are tried: one error with two parts.
  for (const host of ['127.0.0.1', 'localhost']) {
    expect(explainNetError(await failing({ host, port }))).toMatchObject({ code: 'ECONNREFUSED', kind: 'refused' });
  }
});

it.each([
  ['ECONNRESET', 'reset', false],
  ['ETIMEDOUT', 'timeout', false],
  ['EAI_AGAIN', 'dns', false],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls', false],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls', true],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls', true],
  ['CERT_HAS_EXPIRED', 'tls', true],
  ['SOMETHING_NEW', 'other', false],
])('%s is %s', (code, kind, certificate) => {
  expect(explainNetError(Object.assign(new Error('x'), { code }))).toMatchObject({ code, kind, certificate });
});

it('looks behind the names that libraries give', () => {
  const system = Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
  expect(
    explainNetError(Object.assign(new Error('x'), { code: 'ESOCKET', originalCode: 'CERT_HAS_EXPIRED' })).code,
  ).toBe('CERT_HAS_EXPIRED');
  expect(explainNetError(new Error('x', { cause: system })).code).toBe('ECONNREFUSED');
  expect(explainNetError(Object.assign(new AggregateError([system]), {})).kind).toBe('refused');
  const ring: Error & { code?: string } = new Error('ring');
  ring.cause = ring;
  expect(explainNetError(ring)).toMatchObject({ code: 'UNKNOWN', kind: 'other' });
  for (const odd of [undefined, null, 'text', 7]) expect(explainNetError(odd).hint).toBeTruthy();
});
