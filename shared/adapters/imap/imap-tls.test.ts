import { type TlsFixture, tlsContract } from '../../../test/contract/tls.contract.ts';
import { startDovecot } from '../../../test/support/dovecot.ts';
import { imapStore } from '../../../test/support/imap-fixture.ts';
import { never } from '../../../test/support/store-helpers.ts';
import { imapDialect } from '../../../test/support/tls-door.ts';
import { StoreError } from '../store.ts';

const password = 'secret';
const base64 = (text: string) => Buffer.from(text).toString('base64');

async function fixture(protocol: 'imap' | 'imaps'): Promise<TlsFixture> {
  const dovecot = await startDovecot();
  return {
    backend: { host: dovecot.host, port: dovecot.ports.imap },
    dialect: imapDialect,
    passwordForms: [password, base64(password), base64(`\0tester\0${password}`)],
    settingsTrouble: 'connection',
    withoutStarttls: /^STARTTLS_UNAVAILABLE$/,
    injected: 'refused',
    async connect(target) {
      try {
        const session = await imapStore({ protocol, ...target }, password).open({ signal: never });
        await session.scope('INBOX', never);
        await session.close();
        return { ok: true };
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        return { ok: false, whose: error.kind, code: error.code, hint: error.hint };
      }
    },
    tearDown: () => dovecot.remove(),
  };
}

tlsContract('imap', false, () => fixture('imap'));
tlsContract('imaps', true, () => fixture('imaps'));
