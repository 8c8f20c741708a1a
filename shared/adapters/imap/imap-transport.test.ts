import { afterAll, beforeAll } from 'vitest';
import { transportContract } from '../../../test/contract/transport.contract.ts';
import { type Dovecot, startDovecot } from '../../../test/support/dovecot.ts';
import { imapTransportSubject } from '../../../test/support/imap-transport-subject.ts';

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
