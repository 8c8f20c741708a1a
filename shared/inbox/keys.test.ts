import { describe, expect, it } from 'vitest';
import {
  assetLocalId,
  contentKeyRange,
  dueKey,
  dueUntil,
  fingerprintPrefix,
  idKey,
  ledgerKey,
  prefixes,
  refusedKey,
  refusedUntil,
  sourceText,
} from './keys.ts';

const source = (item: string, scope = '', store = 'graph:a@example.com') => ({ store, scope, item });

describe('ledger keys', () => {
  it('distinguish ids that differ in letter case alone', () => {
    expect(ledgerKey(source('AAMkAGI'))).not.toBe(ledgerKey(source('AAMkAGi')));
    expect(assetLocalId('a', source('AAMkAGI'))).not.toBe(assetLocalId('a', source('AAMkAGi')));
  });

  it('sort as UIDs do within a folder', () => {
    const keys = ['0000000002', '0000000010', '0000000009'].map((uid) => ledgerKey(source(uid, 'INBOX;1')));
    expect([...keys].sort()).toEqual([keys[0], keys[2], keys[1]]);
  });

  it.each(['a/b', 'a\\b', 'a#b', 'a?b', 'a%b', 'ü', '\u0007', 'x'.repeat(2_000), "o'clock"])(
    'can hold the id %j',
    (item) => {
      const key = ledgerKey(source(item));
      expect(key.length).toBeLessThan(512);
      expect(key).toMatch(/^[\u0021-\u007e]+$/);
      expect(key).not.toMatch(/[/\\#?%']/);
    },
  );

  it('differ for long ids that begin alike', () => {
    const keys = ['a', 'b'].map((end) => ledgerKey(source('x'.repeat(400) + end)));
    expect(new Set(keys).size).toBe(2);
  });

  it('do not run into one another where parts are cut differently', () => {
    expect(assetLocalId('a', source('bc', 'a'))).not.toBe(assetLocalId('a', source('c', 'ab')));
  });
});

it('the key of an id with a content leads to that of the id, whatever the id holds, and lies in its range', () => {
  for (const id of ['x', 'a b=20=c', '1', 'a+/=']) {
    const [single, withContent] = [id, `${id} ${'0'.repeat(64)}`].map((item) => ledgerKey(source(item)));
    if (!single || !withContent) throw new Error('no keys');
    expect(idKey(withContent)).toBe(single);
    const [from, to] = contentKeyRange(single);
    expect(withContent >= from && withContent < to).toBe(true);
  }
  // Mails without any id have nothing in common.
  const nameless = ledgerKey(source(` ${'0'.repeat(64)}`));
  expect(idKey(nameless)).toBe(nameless);
});

it('a fingerprint is the id itself, whatever stands around it', () => {
  expect(fingerprintPrefix(' <a@example.com> (comment)')).toBe(fingerprintPrefix('<a@example.com>'));
  expect(fingerprintPrefix(' a@example.com\t')).toBe(fingerprintPrefix('a@example.com'));
  expect(fingerprintPrefix(undefined)).toBe(fingerprintPrefix(''));
  expect(fingerprintPrefix('<a@example.com>')).not.toBe(fingerprintPrefix('<b@example.com>'));
});

/** Another key would be another mail: all that is in the mailbox would be imported once more. */
it('keys are those that earlier versions have written', () => {
  const ledgerOf = (item: string) => ledgerKey({ store: 'imap:mail.example.com', scope: 'INBOX;7', item });
  const x = (count: number) => 'x'.repeat(count);
  expect(ledgerOf('0000000042')).toBe('l:d959d94bccf83074:0000000042');
  expect(ledgerOf('ü b')).toBe('l:d959d94bccf83074:=c3bc==20=b');
  expect(ledgerOf(x(300))).toBe(`l:d959d94bccf83074:${x(300)}`);
  expect(ledgerOf(x(301))).toBe(`l:d959d94bccf83074:${x(200)}~baa106be626471c358aa3d9160767c4ae9d1bc2c`);
  expect(fingerprintPrefix('<1@example.net>')).toBe('f:58fce06615beb4466d006e9b:');
  expect(fingerprintPrefix(`<${x(450)}>`)).toBe('f:91b2377ca56539339c29cd51:');
  expect(dueKey(1_795_000_000_000, 'l:a')).toBe('d:1795000000000:a');
});

it.each([
  ['deletions', prefixes.due, dueKey, dueUntil],
  ['refused disposals', prefixes.refused, refusedKey, refusedUntil],
])('%s sort by time, and those are due whose time has come', (_, prefix, keyAt, until) => {
  const now = 1_795_000_000_000;
  const isDue = (at: number) => keyAt(at, 'l:a') >= prefix && keyAt(at, 'l:a') < until(now);
  expect([0, 999, now - 1, now, now + 1].map(isDue)).toEqual([true, true, true, true, false]);
  expect(keyAt(999, 'l:x') < keyAt(now, 'l:a')).toBe(true);
});

it('a source is read with its parts, but for those that it does not have', () => {
  expect(sourceText({ store: 'imap:mail.example.com', scope: 'INBOX;7', item: '42' })).toBe(
    'imap:mail.example.com;INBOX;7;42',
  );
  expect(sourceText({ store: 'pop3:mail.example.com', scope: '', item: 'uid-1' })).toBe('pop3:mail.example.com;uid-1');
});
