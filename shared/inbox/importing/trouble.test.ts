import { RestError } from '@azure/data-tables';
import { expect, it } from 'vitest';
import { BrokenMail } from '../../adapters/mail-content.ts';
import { StoreError } from '../../adapters/store.ts';
import { EmptyMailError } from '../../mime/mail.ts';
import { LeaseLost } from '../../platform/row-lease.ts';
import { Superseded } from '../session/fence.ts';
import { Doubtful, isOwnTrouble } from './trouble.ts';

const withCode = (code: string) => Object.assign(new Error('of the system'), { code });

it.each([
  ['a mail that cannot be read', new BrokenMail('notMail')],
  ['a mail that its server refuses with a code of its own', new BrokenMail('refused', 'NO')],
  ['a mail without content', new EmptyMailError()],
  ['bytes that are not those announced', new Doubtful('cutShort', 17)],
  ['a fault of our own that its content brings about', new TypeError('undefined is not a function')],
  ['what a library throws that is no error', 'text'],
  ['what a library throws that is nothing', undefined],
])('%s is the mail’s own trouble', (_, error) => {
  expect(isOwnTrouble(error)).toBe(true);
});

it.each([
  ['its server', new StoreError('connection', 'the line broke')],
  ['another run, which has the account by now', new Superseded()],
  ['a lease that is lost', new LeaseLost('lost')],
  ['storage that answers', new RestError('busy', { statusCode: 503 })],
  ['storage that answers, in an error of another library', Object.assign(new Error('busy'), { statusCode: 503 })],
  ['storage that does not answer', new RestError('no answer')],
  ['the network', withCode('ECONNRESET')],
  ['a full disk', withCode('ENOSPC')],
  ['a request that was cut', Object.assign(new Error('The operation was aborted.'), { name: 'AbortError' })],
  ['a time that is over', new DOMException('The time is over', 'TimeoutError')],
])('trouble of %s is nobody’s attempt', (_, error) => {
  expect(isOwnTrouble(error)).toBe(false);
});

it('says of doubtful bytes how many came, and why they are in doubt', () => {
  const { bytes, message } = new Doubtful('cutShort', 17);
  expect({ bytes, message }).toEqual({ bytes: 17, message: new BrokenMail('cutShort').message });
});
