import { type StoreConfig, storeSchema } from '../../shared/accounts/model.ts';
import { createPop3Store, type StoreContext } from '../../shared/adapters/pop3/pop3-store.ts';
import type { ListedMail, MailStore } from '../../shared/adapters/store.ts';
import type { SilentMoment, StoreFixture } from '../contract/store.contract.ts';
import { type Dovecot, startDovecot } from './dovecot.ts';
import { onThisMachine } from './on-this-machine.ts';
import { startStallProxy, type Trouble } from './stall-proxy.ts';

export type Pop3Config = Extract<StoreConfig, { protocol: 'pop3' | 'pop3s' }>;

/** A store's settings for a test server, as an account would hold them. */
export function pop3Config(settings: Readonly<Record<string, unknown>>): Pop3Config {
  const config = storeSchema.parse({
    protocol: 'pop3',
    host: '127.0.0.1',
    auth: { type: 'password', user: 'tester', secret: 'corpus-pop3' },
    timeout: 15_000,
    ...settings,
  });
  if (config.protocol !== 'pop3' && config.protocol !== 'pop3s') throw new Error('not POP3');
  return config;
}

export const pop3Store = (
  settings: Readonly<Record<string, unknown>>,
  context: Partial<StoreContext> = {},
): MailStore => createPop3Store(pop3Config(settings), { secret: async () => 'secret', ...onThisMachine, ...context });

/** Short enough for a test, long enough for a busy machine to answer in. */
const SILENCE_LIMIT = 700;

const moments: Readonly<Record<SilentMoment, Trouble>> = {
  greeting: { direction: 'toClient', after: 0, action: 'silent' },
  signIn: { direction: 'toServer', at: 'PASS', action: 'silent' },
  listing: { direction: 'toServer', at: 'UIDL', action: 'silent' },
  body: { direction: 'toClient', at: 'yyyyyyyyyy', action: 'silent' },
};

/** The UID behind a UIDL as Dovecot makes it: UID and UIDVALIDITY, eight hex digits each. */
const uidOf = ({ source }: ListedMail): number => Number.parseInt(source.item.slice(0, 8), 16);

/** A POP3 maildrop on a Dovecot of its own, for the store contract. The witness looks at it by IMAP. */
export async function pop3Fixture(protocol: 'pop3' | 'pop3s'): Promise<StoreFixture & { readonly dovecot: Dovecot }> {
  const dovecot = await startDovecot({ extra: 'pop3_uidl_format = %08Xu%08Xv' });
  const tls = protocol === 'pop3s' ? { ca: dovecot.certificates.ca } : { starttls: 'never' };
  const { cert, key } = dovecot.certificates;
  // With pop3s the proxy itself speaks TLS, so that it sees the dialogue and stops at the very command.
  const proxy = await startStallProxy({
    host: dovecot.host,
    port: dovecot.ports.pop3,
    ...(protocol === 'pop3s' ? { tls: { cert, key } } : {}),
  });
  const witness = await dovecot.client();
  const settings = { protocol, port: dovecot.ports[protocol], tls };
  return {
    dovecot,
    folder: 'INBOX',
    tellsRemaining: true,
    store: () => pop3Store(settings),
    storeWithWrongPassword: () => pop3Store(settings, { secret: async () => 'wrong-password' }),
    storeAtClosedPort: () => pop3Store({ ...settings, port: 1 }),
    storeFallingSilent: async (moment) => {
      proxy.trouble(moments[moment]);
      return pop3Store({ ...settings, port: proxy.port, timeout: SILENCE_LIMIT, connectionTimeout: SILENCE_LIMIT });
    },
    empty: async () => {
      proxy.reset();
      if ((await witness.uids('INBOX')).length === 0) return;
      await witness.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)');
      await witness.ok('EXPUNGE');
    },
    deliver: async (bytes) => {
      await witness.append('INBOX', bytes);
    },
    witnessBytes: (mail) => witness.fetchBody('INBOX', uidOf(mail)),
    witnessFlags: async () => undefined,
    witnessCount: async () => (await witness.uids('INBOX')).length,
    removeByOther: (mail) => witness.expunge('INBOX', uidOf(mail)),
    tearDown: async () => {
      await witness.close();
      await proxy.stop();
      await dovecot.remove();
    },
  };
}
