import { describe, expect, it } from 'vitest';
import { random } from '../../test/support/mails.ts';
import { Base64Decoder } from './transfer-base64.ts';

/** Lines of 76 letters, as mail has them. */
const linesOf = (bytes: Buffer, end = '\r\n', width = 76) =>
  (bytes.toString('base64').match(new RegExp(`.{1,${width}}`, 'g')) ?? []).map((line) => line + end).join('');

/** What comes of a text that arrives in pieces of these sizes, in turn. */
function decode(text: string, sizes: readonly number[]): { readonly bytes: Buffer; readonly invalid: number } {
  let invalid = 0;
  const decoder = new Base64Decoder(() => {
    invalid += 1;
  });
  const out: Buffer[] = [];
  const whole = Buffer.from(text, 'latin1');
  for (let at = 0, n = 0; at < whole.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1;
    out.push(decoder.write(whole.subarray(at, at + size)));
    at += size;
  }
  out.push(decoder.end());
  return { bytes: Buffer.concat(out), invalid };
}

const next = random(7);
const bytes = Buffer.from(Array.from({ length: 10_000 }, () => Math.floor(next() * 256)));

describe('base64', () => {
  it.each([
    ['CRLF', '\r\n', 76],
    ['LF', '\n', 76],
    ['lines that are no whole groups', '\r\n', 77],
    ['short lines', '\n', 20],
    ['one line', '', 76],
  ])('with %s is the same however it is cut', (_, end, width) => {
    for (const length of [9_999, 10_000, 9_998, 700, 3, 2, 1, 0]) {
      const text = linesOf(bytes.subarray(0, length), end, width);
      for (const sizes of [[1], [255, 256, 257], [77, 78, 79], [1_000, 1], [4_096], [100_000], [300, 2, 301, 3]]) {
        const decoded = decode(text, sizes);
        expect(decoded.bytes.equals(bytes.subarray(0, length)), `${length} octets in pieces of ${sizes}`).toBe(true);
        expect(decoded.invalid).toBe(0);
      }
    }
  });

  it.each([
    ['a footer behind an empty line', '\r\n\r\nThis list is run by nobody, see https://example.com/\r\n'],
    ['a footer behind padding', '\r\n-- \r\nList mailing list\r\n'],
  ])('ends at %s, wherever the pieces end', (what, footer) => {
    const begin = bytes.subarray(0, what.includes('padding') ? 1_000 : 999);
    const text = linesOf(begin).trimEnd();
    for (let size = 250; size < 290; size += 1) {
      const decoded = decode(text + footer, [size]);
      expect(decoded.bytes.equals(begin), `pieces of ${size}`).toBe(true);
      expect(decoded.invalid).toBeGreaterThan(0);
    }
  });

  it('takes the URL alphabet and what stands between letters, in any piece', () => {
    const letters = bytes.subarray(0, 3_000).toString('base64url');
    for (const sizes of [[256], [1_000, 3], [5_000]]) {
      expect(decode(letters, sizes).bytes.equals(bytes.subarray(0, 3_000))).toBe(true);
      const spaced = letters.replace(/(.{50})/g, '$1 \t\r\n');
      expect(decode(spaced, sizes).bytes.equals(bytes.subarray(0, 3_000))).toBe(true);
      const odd = decode(letters.replace(/(.{50})/g, '$1!\r\n'), sizes);
      expect([odd.bytes.equals(bytes.subarray(0, 3_000)), odd.invalid > 0]).toEqual([true, true]);
    }
  });

  it('goes on behind padding at the end of each line, wherever the pieces end', () => {
    const lines = Array.from({ length: 300 }, (_, n) => bytes.subarray(n * 10, n * 10 + 10));
    const text = lines.map((line) => `${line.toString('base64')}\r\n`).join('');
    for (const sizes of [[1], [255, 256, 257], [1_024], [100_000]]) {
      expect(decode(text, sizes).bytes.equals(bytes.subarray(0, 3_000)), `pieces of ${sizes}`).toBe(true);
    }
  });

  it('goes on behind empty lines where letters do', () => {
    const text = linesOf(bytes.subarray(0, 5_000)).replaceAll('\r\n', '\r\n\r\n');
    for (const sizes of [[256], [257], [999], [20_000]]) {
      expect(decode(text, sizes).bytes.equals(bytes.subarray(0, 5_000))).toBe(true);
    }
  });
});
