import { describe, expect, it } from 'vitest';
import { assetLocalId, contentKeyRange, dueKey, fingerprintPrefix, idKey, ledgerKey } from './keys.ts';

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
  expect(fingerprintPrefix(' <a@b> (comment)')).toBe(fingerprintPrefix('<a@b>'));
  expect(fingerprintPrefix(undefined)).toBe(fingerprintPrefix(''));
});

it('due rows sort by time', () => {
  expect(dueKey(999, 'l:x') < dueKey(1_795_000_000_000, 'l:a')).toBe(true);
});
