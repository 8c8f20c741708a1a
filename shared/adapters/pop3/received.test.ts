import { expect, test } from 'vitest';
import { receivedTime } from './received.ts';

const time = (...lines: string[]) => {
  const found = receivedTime(Buffer.from(lines.join('\r\n')));
  return found === undefined ? undefined : new Date(found).toISOString();
};

test.each([
  ['Received: from a by b; Thu, 29 Apr 2021 23:34:45 +0900', '2021-04-29T14:34:45.000Z'],
  ['received : from a\r\n\tby b;\r\n\tThu,29 Apr 2021 23:34:45 +0900 (a (b) c)', '2021-04-29T14:34:45.000Z'],
  ['Received: from a by b; Thu, 29 Apr 2021 23:34:45 +0900 (envelope-from x; y)', '2021-04-29T14:34:45.000Z'],
  ['Received: from a by b; Thu, 29 Apr 2021 23:34:45', '2021-04-29T23:34:45.000Z'],
  ['Received: from a by b', undefined],
  ['Received: from a by b; yesterday', undefined],
  ['Date: Thu, 29 Apr 2021 23:34:45 +0900', undefined],
])('%s', (field, expected) => {
  expect(time('Return-Path: <>', field, '', 'x')).toBe(expected);
});

test('the topmost counts', () => {
  expect(
    time('Received: by b; Thu, 29 Apr 2021 23:34:45 +0900', 'Received: by c; Thu, 1 Apr 2021 00:00:00 +0000', '', ''),
  ).toBe('2021-04-29T14:34:45.000Z');
});

test('a field of nothing but semicolons takes no time', () => {
  expect(time(`Received: ${';'.repeat(60_000)}`, '', '')).toBeUndefined();
});
