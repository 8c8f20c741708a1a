import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom } from './support/mailroom.ts';
import { send, waitingRecord } from './support/sending.ts';

/** Connections to a service of the machine that no account must reach. */
let reached = 0;
/** What it says to whoever connects. */
let words = '';
let service: Server;
let port = 0;
let closed: Mailroom;
let open: Mailroom;

beforeAll(async () => {
  service = createServer((socket) => {
    reached += 1;
    socket.on('error', () => undefined);
    // Its end is seen only where what came before it is read.
    socket.resume();
    socket.end(words);
  });
  // Both families, so that every form of the address leads there.
  await new Promise<void>((resolve) => service.listen(0, '::', resolve));
  const address = service.address();
  port = typeof address === 'object' && address ? address.port : 0;
  [closed, open] = await Promise.all([Mailroom.start({ env: { MAIL_ALLOWED_NETWORKS: undefined } }), Mailroom.start()]);
});

afterAll(async () => {
  await closed?.stop();
  await open?.stop();
  await new Promise((resolve) => service.close(resolve));
});

const hosts = [
  'localhost',
  'LOCALHOST.',
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '0.0.0.0',
  '::1',
  '::',
  '::ffff:127.0.0.1',
  '0:0:0:0:0:ffff:7f00:1',
];

async function account(mailroom: Mailroom, host: string, protocol: string) {
  const end = { protocol, host, port, timeout: 2_000, connectionTimeout: 2_000 };
  const auth = { type: 'password', user: 'u', secret: 'corpus-x' };
  const store = protocol.startsWith('smtp') ? null : { ...end, auth };
  const transport = protocol.startsWith('smtp') ? end : null;
  const body = { from: 'corpus@example.com', transport, store, import: { schedule: null } };
  await mailroom.expect([200, 201], 'PUT', '/api/accounts/corpus', { body });
  await mailroom.secret('corpus', 'corpus-x', 'never to be sent anywhere');
}

describe('an account that points at the machine itself', () => {
  it.each(hosts)('by %s reaches nothing, on any protocol', async (host) => {
    reached = 0;
    for (const protocol of ['smtp', 'smtps', 'imap', 'imaps', 'pop3', 'pop3s']) {
      await account(closed, host, protocol);
      const { json } = await closed.expect(200, 'POST', '/api/accounts/corpus/verify');
      const [first] = (json.transport ?? json.store).steps;
      expect(first, protocol).toMatchObject({ step: 'resolve', status: 'failed' });
      if (json.store) {
        expect(await closed.import('corpus'), protocol).toMatchObject({ status: 'failed' });
      } else {
        const { id } = await send(closed, 'corpus');
        await waitingRecord(closed, id);
        await closed.expect(200, 'DELETE', `/api/messages/${id}`);
      }
    }
    expect(reached).toBe(0);
    const { json } = await closed.expect(200, 'GET', '/api/accounts/corpus/status');
    expect(JSON.stringify(json)).toMatch(/ADDRESS_REFUSED|ENOTFOUND/);
  });

  it.each(['169.254.169.254', '168.63.129.16', 'fe80::1', '64:ff9b::7f00:1'])('%s neither', async (host) => {
    await account(closed, host, 'imap');
    const { json } = await closed.expect(200, 'POST', '/api/accounts/corpus/verify');
    expect(json.store.steps[0]).toMatchObject({
      step: 'resolve',
      status: 'failed',
      code: 'ADDRESS_REFUSED',
      hint: expect.stringContaining('MAIL_ALLOWED_NETWORKS'),
    });
  });

  it('is reached where the operator allows it', async () => {
    reached = 0;
    await account(open, '127.0.0.1', 'imap');
    await open.expect(200, 'POST', '/api/accounts/corpus/verify');
    expect(reached).toBeGreaterThan(0);
  });
});

describe('verify repeats no words of a service that is no mail server', () => {
  it.each([
    ['HTTP/1.1 200 internal-words\r\n\r\n'],
    ['-ERR wrong number of arguments, internal-words\r\n'],
    ['554 internal-words\r\n'],
    ['220 internal-words\r\n500 internal-words\r\n'],
    ['* BYE internal-words\r\n'],
    ['* OK internal-words\r\n* BAD internal-words\r\n'],
    ['+OK internal-words\r\n-ERR internal-words\r\n'],
    ['internal-words\r\n'],
  ])('%j', async (said) => {
    words = said;
    for (const protocol of ['smtp', 'imap', 'pop3']) {
      await account(open, '127.0.0.1', protocol);
      const { bytes, json } = await open.expect(200, 'POST', '/api/accounts/corpus/verify');
      expect(json.status).toBe('failed');
      expect(bytes.toString(), protocol).not.toContain('internal-words');
    }
  });
});
