import { connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isNetwork, NetworkPolicy, ownNetworks } from './network-policy.ts';

const mail = new NetworkPolicy(ownNetworks);

describe('the networks that are the machine’s own', () => {
  it.each([
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '168.63.129.16',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    'fd00:ec2::254',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::FFFF:169.254.169.254',
    '::127.0.0.1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::169.254.169.254',
    '64:ff9b:1::127.0.0.1',
    '2002:7f00:1::1',
    '2002:a9fe:a9fe::',
    '2001:0:1:2:3:4:80ff:fffe',
    'no address',
    '',
  ])('refuse %s', (address) => {
    expect(mail.allows(address)).toBe(false);
  });

  it.each(['10.0.0.1', '192.168.1.1', '172.16.0.1', '100.64.0.1', 'fd12::1', '8.8.8.8', '2a00::1', '64:ff9b::808:808'])(
    'leave %s alone, where mail servers live',
    (address) => {
      expect(mail.allows(address)).toBe(true);
    },
  );

  it('are open as far as an operator says', () => {
    const loopback = new NetworkPolicy(ownNetworks, ['127.0.0.0/8', '::1/128']);
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) expect(loopback.allows(address)).toBe(true);
    for (const address of ['0.0.0.0', '169.254.169.254', '::']) expect(loopback.allows(address)).toBe(false);
  });

  it('are written as CIDRs', () => {
    expect(['10.0.0.0/8', '::1/128', '0.0.0.0/0'].map(isNetwork)).toEqual([true, true, true]);
    expect(['10.0.0.0', 'localhost', '10.0.0.0/33', '', '1/8'].map(isNetwork)).toEqual(Array(5).fill(false));
  });
});

describe('a name', () => {
  const reach = (host: string, policy: NetworkPolicy, port: number) =>
    new Promise<string>((resolve) => {
      const socket = connect({ host, port, lookup: policy.lookup });
      const end = (answer: string) => {
        socket.destroy();
        resolve(answer);
      };
      socket.once('connect', () => end('connected'));
      socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'error'));
    });

  it.each(['localhost', '127.1', '2130706433', '0x7f000001', '0'])(
    '%s is judged by the address it becomes',
    async (host) => {
      const server = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      expect(await reach(host, mail, port)).toBe('ADDRESS_REFUSED');
      const open = new NetworkPolicy(ownNetworks, ['127.0.0.0/8', '0.0.0.0/8', '::1/128']);
      expect(await reach(host, open, port)).toBe('connected');
      await new Promise((resolve) => server.close(resolve));
    },
  );

  it('that does not resolve says so', async () => {
    expect(await reach('mail.nowhere.invalid', mail, 25)).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });
});
