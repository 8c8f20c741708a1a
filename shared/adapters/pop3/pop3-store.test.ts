import { storeContract } from '../../../test/contract/store.contract.ts';
import { pop3Fixture } from '../../../test/support/pop3-fixture.ts';

storeContract('pop3', () => pop3Fixture('pop3'));
storeContract('pop3s', () => pop3Fixture('pop3s'));
