import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frozenMail, outcomes, sendOptions, transportContract } from '../../../../test/contract/transport.contract.ts';
import { type Dovecot, startDovecot } from '../../../../test/support/dovecot.ts';
import { imapTransport, imapTransportSubject } from '../../../../test/support/imap-transport-subject.ts';

let dovecot: Dovecot;
let folders = 0;
const newFolder = () => {
  folders += 1;
  return `folder-${folders}`;
};
beforeAll(async () => {
  dovecot = await startDovecot();
});
afterAll(() => dovecot?.remove());

for (const protocol of ['imap', 'imaps'] as const) {
  transportContract(protocol, () => imapTransportSubject(protocol, dovecot, newFolder()));
}

describe('TLS, as the account says', () => {
  async function sendBy(fields: Readonly<Record<string, unknown>>) {
    const transport = imapTransport(fields);
    const options = sendOptions();
    const { recipients, trouble } = await transport.send(frozenMail(), options);
    await transport.close();
    return { outcomes: outcomes({ recipients }), scope: trouble?.scope, code: trouble?.code, hint: trouble?.hint };
  }

  it('is taken with the authority of the account, from the start or by STARTTLS', async () => {
    const { ports, certificates } = dovecot;
    const tls = { ca: certificates.ca, starttls: 'required' };
    for (const server of [
      { protocol: 'imap', port: ports.imap },
      { protocol: 'imaps', port: ports.imaps },
    ]) {
      expect(await sendBy({ ...server, tls })).toMatchObject({ outcomes: ['accepted'] });
      expect(await sendBy({ ...server, tls: { trust: ['127.0.0.1'] } })).toMatchObject({ outcomes: ['accepted'] });
    }
  });

  it('with a certificate that is not trusted is the trouble of the account', async () => {
    const { ports } = dovecot;
    const refused = await sendBy({ protocol: 'imaps', port: ports.imaps, tls: {} });
    expect(refused).toMatchObject({ outcomes: ['deferred'], scope: 'account' });
    expect(refused.hint).toContain('tls.ca');
    const elsewhere = await sendBy({ protocol: 'imaps', port: ports.imaps, tls: { trust: ['mail.example.com'] } });
    expect(elsewhere).toMatchObject({ outcomes: ['deferred'], scope: 'account', code: 'TLS_NOT_ALLOWED' });
  });
});
