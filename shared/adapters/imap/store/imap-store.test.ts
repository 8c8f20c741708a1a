import { expect, it } from 'vitest';
import { storeContract } from '../../../../test/contract/store.contract.ts';
import { imapFixture, imapStore } from '../../../../test/support/imap-fixture.ts';

storeContract('imap', () => imapFixture('imap'));
storeContract('imaps', () => imapFixture('imaps'));

it('keeps one identity over protocols, sign-ins and letter cases of the host, and another for a port of its own', () => {
  const credential = { type: 'managedIdentity' };
  const names = [
    imapStore({ protocol: 'imap', host: 'Mail.Example.com', port: 143 }),
    imapStore({ protocol: 'imaps', host: 'mail.example.com', port: 993 }),
    imapStore({ protocol: 'imaps', host: 'mail.example.com', auth: { type: 'oauth2', user: 'tester', credential } }),
    imapStore({ protocol: 'imaps', host: 'mail.example.com', port: 1993 }),
  ].map(({ identity }) => identity);
  expect(names).toEqual([
    'imap://tester@mail.example.com',
    'imap://tester@mail.example.com',
    'imap://tester@mail.example.com',
    'imap://tester@mail.example.com:1993',
  ]);
});
