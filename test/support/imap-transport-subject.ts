import { transportSchema } from '../../shared/accounts/model.ts';
import {
  createImapTransport,
  type ImapTransportContext,
  newMailIn,
} from '../../shared/adapters/imap/append/imap-transport.ts';
import type { MailTransport } from '../../shared/adapters/transport.ts';
import type { DeliveredMail, TransportSubject } from '../contract/transport.contract.ts';
import type { Dovecot } from './dovecot.ts';
import { closedPort } from './imap-fixture.ts';
import { onThisMachine } from './on-this-machine.ts';
import { startStallProxy } from './stall-proxy.ts';

/** A transport by IMAP as the account model would give it. */
export function imapTransport(
  fields: Readonly<Record<string, unknown>>,
  context: Partial<ImapTransportContext> = {},
): MailTransport {
  const config = transportSchema.parse({
    protocol: 'imap',
    host: '127.0.0.1',
    auth: { type: 'password', user: 'tester', secret: 'corpus-imap' },
    tls: { starttls: 'never' },
    timeout: 15_000,
    ...fields,
  });
  if (config.protocol !== 'imap' && config.protocol !== 'imaps') throw new Error('not an IMAP transport');
  const parts = { secret: async () => 'secret', maxConnections: 5, ...onThisMachine, ...context };
  return createImapTransport(config, parts, newMailIn(config.folder));
}

/** A folder of its own on a Dovecot, behind a proxy that loses answers and goes silent, for the transport contract. */
export async function imapTransportSubject(
  protocol: 'imap' | 'imaps',
  dovecot: Dovecot,
  folder: string,
): Promise<TransportSubject> {
  const { cert, key, ca } = dovecot.certificates;
  const proxy = await startStallProxy({
    host: dovecot.host,
    port: dovecot.ports.imap,
    // The proxy itself speaks TLS, so that it sees the dialogue and stops at the very answer.
    ...(protocol === 'imaps' ? { tls: { cert, key } } : {}),
  });
  const witness = await dovecot.client();
  await witness.createFolder(folder);
  const tls = protocol === 'imaps' ? { ca } : { starttls: 'never' };
  const config = { protocol, tls, folder };
  const deadPort = await closedPort();
  return {
    transport: (limits = {}) => imapTransport({ ...config, port: proxy.port }, limits),
    unreachable: () => imapTransport({ ...config, port: deadPort }),
    async delivered() {
      const mails: DeliveredMail[] = [];
      for (const uid of await witness.uids(folder)) {
        const bytes = (await witness.fetchBody(folder, uid)) ?? Buffer.alloc(0);
        // A folder has no envelope: whoever the mail is for stands in its header.
        const to = /^To: (.*)\r$/m.exec(bytes.toString('latin1', 0, 2_000))?.[1] ?? '';
        mails.push({ bytes, recipients: to.split(', ') });
      }
      return mails;
    },
    connections: () => proxy.connections(),
    openConnections: () => proxy.open(),
    received() {
      const sent = proxy.sentText();
      const command = sent.lastIndexOf(' APPEND ');
      const head = command < 0 ? -1 : sent.indexOf('}\r\n', command);
      return head < 0 ? 0 : sent.length - head - 3;
    },
    loseAnswer: () => proxy.trouble({ direction: 'toClient', at: 'APPENDUID', action: 'cut' }),
    goSilent: () => proxy.trouble({ direction: 'toClient', after: 0, action: 'silent' }),
    heal: () => proxy.reset(),
    async stop() {
      await witness.close();
      await proxy.stop();
    },
  };
}
