import { transportContract } from '../../../test/contract/transport.contract.ts';
import { startSmtpSubject } from '../../../test/support/smtp-subject.ts';

transportContract('smtp', () => startSmtpSubject());
