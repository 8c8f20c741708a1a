import { storeContract } from '../../../../test/contract/store.contract.ts';
import { graphFixture } from '../../../../test/support/graph-fixture.ts';

storeContract('graph', graphFixture);
