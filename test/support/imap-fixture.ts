import { type StoreConfig, storeSchema } from '../../shared/accounts/model.ts';
import { decodeScope } from '../../shared/adapters/imap/source-id.ts';
import { createImapStore } from '../../shared/adapters/imap/store/imap-store.ts';
import type { ListedMail, MailStore } from '../../shared/adapters/store.ts';
import type { SilentMoment, StoreFixture } from '../contract/store.contract.ts';
import { type Dovecot, startDovecot } from './dovecot.ts';
import { onThisMachine } from './on-this-machine.ts';
import type { RawImap } from './raw-imap.ts';
import { startStallProxy, type Trouble } from './stall-proxy.ts';

export type ImapConfig = Extract<StoreConfig, { protocol: 'imap' | 'imaps' }>;

/** A store's settings for a test server, as an account would hold them. */
export function imapConfig(settings: Readonly<Record<string, unknown>>): ImapConfig {
  const config = storeSchema.parse({
    protocol: 'imap',
    host: '127.0.0.1',
    auth: { type: 'password', user: 'tester', secret: 'corpus-imap' },
    timeout: 15_000,
    ...settings,
  });
  if (config.protocol !== 'imap' && config.protocol !== 'imaps') throw new Error('not IMAP');
  return config;
}

export const imapStore = (settings: Readonly<Record<string, unknown>>, password = 'secret'): MailStore =>
  createImapStore(imapConfig(settings), { secret: async () => password, ...onThisMachine });

/**
 * A port at which connections are refused. One that the system gave a moment ago may be another suite's in the next; this
 * one it gives to nobody, no program uses, and fetch does not refuse by itself (Fetch Standard, "bad port").
 */
export async function closedPort(): Promise<number> {
  return 2;
}

/** Short enough for a test, long enough for a busy machine to answer in. */
const SILENCE_LIMIT = 700;
const OTHER_FOLDER = 'Archive/2026';

const moments: Readonly<Record<SilentMoment, Trouble>> = {
  greeting: { direction: 'toClient', after: 0, action: 'silent' },
  signIn: { direction: 'toServer', at: 'AUTHENTICATE', action: 'silent' },
  listing: { direction: 'toServer', at: 'UID SEARCH', action: 'silent' },
  body: { direction: 'toClient', at: 'yyyyyyyyyy', action: 'silent' },
};

/** An IMAP mailbox on a Dovecot of its own, for the store contract. */
export async function imapFixture(protocol: 'imap' | 'imaps'): Promise<StoreFixture & { readonly dovecot: Dovecot }> {
  const dovecot = await startDovecot();
  const tls = protocol === 'imaps' ? { ca: dovecot.certificates.ca } : { starttls: 'never' };
  const { cert, key } = dovecot.certificates;
  // With imaps the proxy itself speaks TLS, so that it sees the dialogue and stops at the very command.
  const proxy = await startStallProxy({
    host: dovecot.host,
    port: dovecot.ports.imap,
    ...(protocol === 'imaps' ? { tls: { cert, key } } : {}),
  });
  const witness = await dovecot.client();
  await witness.createFolder(OTHER_FOLDER);
  await witness.createFolder('Trash');
  const settings = { protocol, port: dovecot.ports[protocol], tls };
  return {
    dovecot,
    folder: 'INBOX',
    tellsRemaining: true,
    otherFolder: OTHER_FOLDER,
    trashFolder: 'Trash',
    store: () => imapStore(settings),
    storeWithWrongPassword: () => imapStore(settings, 'wrong-password'),
    storeAtClosedPort: () => imapStore({ ...settings, port: 1 }),
    storeFallingSilent: async (moment) => {
      proxy.trouble(moments[moment]);
      return imapStore({ ...settings, port: proxy.port, timeout: SILENCE_LIMIT, connectionTimeout: SILENCE_LIMIT });
    },
    empty: async () => {
      proxy.reset();
      for (const folder of ['INBOX', OTHER_FOLDER, 'Trash']) await emptyFolder(witness, folder);
    },
    deliver: async (bytes) => {
      await witness.append('INBOX', bytes);
    },
    witnessBytes: ({ source }) => witness.fetchBody(decodeScope(source.scope)?.folder ?? '', Number(source.item)),
    witnessFlags: ({ source }: ListedMail) =>
      witness.flags(decodeScope(source.scope)?.folder ?? '', Number(source.item)),
    witnessCount: async (folder) => (await witness.uids(folder)).length,
    removeByOther: ({ source }) => witness.expunge(decodeScope(source.scope)?.folder ?? '', Number(source.item)),
    tearDown: async () => {
      await witness.close();
      await proxy.stop();
      await dovecot.remove();
    },
  };
}

async function emptyFolder(witness: RawImap, folder: string): Promise<void> {
  const uids = await witness.uids(folder);
  if (uids.length === 0) return;
  await witness.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)');
  await witness.ok('EXPUNGE');
}
