import { describe, expect, it } from 'vitest';
import { TargetNetwork } from './target-network.ts';

const closed = new TargetNetwork([]);
const open = new TargetNetwork(['127.0.0.0/8', '10.20.0.0/16', 'fd00:1::/32']);
const check = (network: TargetNetwork, url: string) => network.check(url, AbortSignal.timeout(20_000));
const refused = { mistake: expect.stringContaining('WEBHOOK_ALLOWED_NETWORKS') };

describe('a target', () => {
  it.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '0',
    '10.1.2.3',
    '100.64.0.1',
    '169.254.169.254',
    '168.63.129.16',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.250',
    '240.0.0.1',
    '255.255.255.255',
    'localhost',
    '[::]',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:10.0.0.1]',
    '[::ffff:a9fe:a9fe]',
    '[::127.0.0.1]',
    '[64:ff9b::10.0.0.1]',
    '[64:ff9b:1::1]',
    '[100::1]',
    '[2001::1]',
    '[2001:db8::1]',
    '[2002:a00:1::1]',
    '[3fff::1]',
    '[4000::1]',
    '[5f00::1]',
    '[fc00::1]',
    '[fd12:3456::1]',
    '[fe80::1]',
    '[fec0::1]',
    '[ff02::1]',
  ])('at %s is refused', async (host) => {
    expect(await check(closed, `https://${host}/events`)).toEqual(refused);
  });

  it.each(['8.8.8.8', '172.15.0.1', '172.32.0.1', '192.0.1.1', '[2600:1f18::1]', '[64:ff9b::8.8.8.8]'])(
    'at %s is taken',
    async (host) => {
      expect(await check(closed, `https://${host}:8443/events?x=1`)).toBeUndefined();
    },
  );

  it('over http is refused where nothing says otherwise', async () => {
    expect(await check(closed, 'http://8.8.8.8/')).toEqual({ mistake: 'must be https' });
    expect(await check(closed, 'http://127.0.0.1/')).toEqual(refused);
    expect(await check(closed, 'http://no-such-name.invalid/')).toEqual({ mistake: 'must be https' });
  });

  it('in a network that the operator allows is taken, over http too', async () => {
    for (const url of ['http://127.0.0.1/', 'https://127.0.0.1/', 'http://10.20.3.4/', 'http://[fd00:1::9]/'])
      expect(await check(open, url)).toBeUndefined();
    expect(await check(open, 'http://10.21.3.4/')).toEqual(refused);
    expect(await check(open, 'http://8.8.8.8/')).toEqual({ mistake: 'must be https' });
  });

  it('whose name cannot be resolved now is taken with a warning', async () => {
    expect(await check(closed, 'https://no-such-name.invalid/')).toEqual({
      warning: expect.stringContaining('could not be resolved'),
    });
  });
});
