import { storeContract } from '../../../test/contract/store.contract.ts';
import { imapFixture } from '../../../test/support/imap-fixture.ts';

storeContract('imap', () => imapFixture('imap'));
storeContract('imaps', () => imapFixture('imaps'));
