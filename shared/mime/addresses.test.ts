import { expect, test } from 'vitest';
import { readAddresses } from './addresses.ts';

const read = (field: string) => readAddresses([field], 10, new Set());

test.each([
  'Undisclosed-Recipient:@mailman.example.com;',
  '<Undisclosed-Recipient:@mailman.example.com;>',
  'undisclosed-recipients:;',
  '"Undisclosed recipients": ;',
  'Undisclosed recipients  :(nobody(that I know))  ;',
])('nobody: %s', (field) => {
  expect(read(field)).toEqual([]);
});

test('a comment behind a group is no mailbox', () => {
  const john = { name: 'John', address: 'jdoe@one.test' };
  const field = (end: string) => `A Group(Some people): John <jdoe@one.test>; (the end of the group)${end}`;
  expect(read(field(''))).toEqual([john]);
  expect(read(field(', c@d.test'))).toEqual([john, { name: '', address: 'c@d.test' }]);
});

test('a mailbox whose name is a comment keeps it', () => {
  expect(read('jdoe@one.test (my friend)')).toEqual([{ name: 'my friend', address: 'jdoe@one.test' }]);
});

test('a name that is the address stays', () => {
  const mailbox = (name: string) => ({ name, address: 'a@b.test' });
  expect(read('"a@b.test" <a@b.test>, a@b.test <a@b.test>')).toEqual([mailbox('a@b.test'), mailbox('a@b.test')]);
  expect(read('<a@b.test>')).toEqual([mailbox('')]);
  expect(read('a@b.test, "" <a@b.test>')).toEqual([mailbox(''), mailbox('')]);
});
