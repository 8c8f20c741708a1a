import { describe, expect, it } from 'vitest';
import { encodeFolderName } from './folder-name.ts';
import { parseInternalDate } from './internal-date.ts';
import { decodeItem, decodeScope, encodeItem, encodeScope } from './source-id.ts';
import { uidSet, uidSets } from './store/uid-set.ts';

describe('sequence sets', () => {
  it('writes neighbours as ranges, sorted and once each', () => {
    expect(uidSet([7, 1, 2, 3, 5, 3, 8])).toBe('1:3,5,7:8');
  });

  it('keeps every set within the length of a command line, and loses no UID', () => {
    const uids = Array.from({ length: 5_000 }, (_, index) => 4_000_000_000 + index * 2);
    const sets = uidSets(uids);
    expect(Math.max(...sets.map((set) => set.length))).toBeLessThanOrEqual(4_000);
    expect(sets.join(',').split(',').map(Number)).toEqual(uids);
  });
});

describe('folder names (RFC 3501 section 5.1.3)', () => {
  it.each([
    ['INBOX', 'INBOX'],
    ['Tom & Jerry', 'Tom &- Jerry'],
    ['~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'],
    ['Entwürfe', 'Entw&APw-rfe'],
    ['😀', '&2D3eAA-'],
  ])('writes %s as %s', (name, encoded) => {
    expect(encodeFolderName(name)).toBe(encoded);
  });
});

describe('source ids', () => {
  it.each([
    ['INBOX', 1],
    ['a;b;7', 4_294_967_295],
    [';', 9],
  ])('takes the scope of folder %s and UIDVALIDITY %d apart again', (folder, uidValidity) => {
    expect(decodeScope(encodeScope({ folder, uidValidity }))).toEqual({ folder, uidValidity });
  });

  it('refuses what is no scope or no UID', () => {
    for (const text of ['', 'INBOX', 'INBOX;', 'INBOX;0', 'INBOX;4294967296', 'INBOX;1x', ';7']) {
      expect(decodeScope(text)).toBeUndefined();
    }
    for (const item of ['', '7', '0000000000', '9999999999', '00000000x7']) expect(decodeItem(item)).toBeUndefined();
  });

  it('writes UIDs so that they sort in the order of arrival', () => {
    const uids = [1, 9, 10, 4_294_967_295];
    expect(uids.map(encodeItem).sort().map(decodeItem)).toEqual(uids);
  });
});

describe('INTERNALDATE', () => {
  it.each([
    ['17-Jul-1996 02:44:25 -0700', '1996-07-17T09:44:25.000Z'],
    [' 1-Jan-2026 00:00:00 +0530', '2025-12-31T18:30:00.000Z'],
  ])('reads %s', (text, iso) => {
    expect(parseInternalDate(text)).toBe(Date.parse(iso));
  });

  it('says nothing about what is no date', () => {
    for (const text of ['', 'yesterday', '17-Foo-1996 02:44:25 -0700']) expect(parseInternalDate(text)).toBeUndefined();
  });
});
