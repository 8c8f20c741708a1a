import tls from 'node:tls';
import { createGraphStore } from '../../shared/adapters/graph/store/graph-store.ts';
import { createImapStore } from '../../shared/adapters/imap/store/imap-store.ts';
import { type MailStore, StoreError } from '../../shared/adapters/store.ts';
import { graphStoreConfig } from './graph-fixture.ts';
import { imapConfig } from './imap-fixture.ts';
import { onThisMachine } from './on-this-machine.ts';
import { pop3Store } from './pop3-fixture.ts';
import { never } from './store-helpers.ts';

/**
 * A client in a process of its own, whose heap is small: lists a mailbox and reads its mails, and says what came of it.
 * Arguments: protocol and port of an IMAP or POP3 server; or `graph`, the endpoint, Entra's host and their authority.
 */
const [protocol = '', place = '', authorityHost = '', ca = ''] = process.argv.slice(2);

function storeOf(): MailStore {
  const settings = { port: Number(place), tls: { starttls: 'never' }, timeout: 10_000 };
  const secret = async () => 'secret';
  if (protocol === 'imap') return createImapStore(imapConfig(settings), { secret, ...onThisMachine });
  if (protocol === 'pop3') return pop3Store(settings, { secret, deletesImmediately: true });
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), ca]);
  return createGraphStore(graphStoreConfig({}), {
    secret: async () => 'the-client-secret',
    overrides: { graphEndpoint: place, authorityHost },
  });
}

try {
  const session = await storeOf().open({ signal: never });
  let octets = 0;
  for await (const mails of session.list('INBOX', { signal: never, pageSize: 10, details: true })) {
    for await (const { content } of session.fetch(mails, { signal: never })) {
      if (content.kind === 'bytes') octets += content.bytes.length;
      if (content.kind === 'stream') for await (const chunk of content.stream) octets += chunk.length;
    }
  }
  await session.close();
  console.log(JSON.stringify({ octets }));
} catch (error) {
  if (!(error instanceof StoreError)) throw error;
  console.log(JSON.stringify({ kind: error.kind, code: error.code }));
}
