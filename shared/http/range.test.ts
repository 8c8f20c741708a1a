import { expect, it } from 'vitest';
import { isNotModified } from './conditional.ts';
import { readRange } from './range.ts';

const read = (range: string | undefined, ifRange?: string, size = 100) =>
  readRange(
    new Headers({
      ...(range === undefined ? {} : { range }),
      ...(ifRange === undefined ? {} : { 'if-range': ifRange }),
    }),
    size,
    '"v1"',
  );

it.each([
  ['bytes=0-9', 0, 9],
  ['bytes=90-', 90, 99],
  ['bytes=90-1000', 90, 99],
  ['bytes=-10', 90, 99],
  ['bytes=-1000', 0, 99],
  ['BYTES=5-5', 5, 5],
])('%s is a part', (range, from, to) => {
  expect(read(range)).toEqual({ kind: 'part', from, to });
});

it.each([
  undefined,
  'bytes=',
  'bytes=-',
  'bytes=9-5',
  'bytes=0-1,3-4',
  'lines=0-1',
  `bytes=${'9'.repeat(1_000_000)}-`,
  'x',
])('%.30s is passed over', (range) => {
  expect(read(range)).toEqual({ kind: 'whole' });
});

it.each(['bytes=100-', 'bytes=-0', 'bytes=100-200'])('%s lies outside', (range) => {
  expect(read(range)).toEqual({ kind: 'outside' });
});

it('a range is of the version that If-Range names', () => {
  expect(read('bytes=0-0', '"v1"')).toEqual({ kind: 'part', from: 0, to: 0 });
  for (const other of ['"v2"', 'W/"v1"', 'Wed, 21 Oct 2015 07:28:00 GMT']) {
    expect(read('bytes=0-0', other)).toEqual({ kind: 'whole' });
  }
  expect(read('bytes=0-', undefined, 0)).toEqual({ kind: 'outside' });
});

it.each([
  ['"v1"', true],
  ['"v0", W/"v1"', true],
  ['*', true],
  ['"v0"', false],
  [undefined, false],
])('If-None-Match: %s', (header, expected) => {
  expect(isNotModified(new Headers(header === undefined ? {} : { 'if-none-match': header }), '"v1"')).toBe(expected);
});
