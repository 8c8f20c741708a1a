import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { base64Lines, encodedSize, lineAt, wholeLines } from './base64-lines.ts';

/** The same by a way that shares nothing with it. */
const inLines = (bytes: Buffer) => (bytes.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n');

const sizes = [1, 2, 3, 56, 57, 58, 113, 114, 115, 171, 5_000, 57 * 1_000, 57 * 1_000 + 1];

describe.each(sizes)('%i bytes as base64', (size) => {
  const bytes = randomBytes(size);

  it('have lines of 76 characters, and the size that is known beforehand', () => {
    expect(base64Lines(bytes, true).toString()).toBe(inLines(bytes));
    expect(encodedSize(size)).toBe(inLines(bytes).length);
  });

  it('can be read from any octet on', () => {
    const whole = inLines(bytes);
    for (const offset of [0, 1, 75, 76, 77, 78, 79, whole.length - 1].filter((at) => at >= 0 && at < whole.length)) {
      const { byte, encoded } = lineAt(offset);
      expect(encoded).toBeLessThanOrEqual(offset);
      expect(base64Lines(bytes.subarray(byte), true).toString()).toBe(whole.slice(encoded));
    }
  });
});

it('pieces of whole lines join', () => {
  const bytes = randomBytes(57 * 5 + 3);
  const pieces = [0, 114, 228].map((at) => base64Lines(bytes.subarray(at, at + 114), at === 228));
  expect(Buffer.concat(pieces).toString()).toBe(inLines(bytes));
});

it.each([
  [56, 0],
  [57, 57],
  [1 << 20, 18_396 * 57],
])('of %i bytes, %i are whole lines', (bytes, whole) => {
  expect(wholeLines(bytes)).toBe(whole);
});
