import { transportContract } from '../../../../test/contract/transport.contract.ts';
import { graphSubject } from '../../../../test/support/graph-fixture.ts';

transportContract('graph by draft', () => graphSubject());
transportContract('graph directly', () => graphSubject({ sendMode: 'direct' }));
