import { randomBytes } from 'node:crypto';
import libqp from 'libqp';
import { describe, expect, test } from 'vitest';
import type { Defect, Defects } from './mail.ts';
import { transferDecoder } from './transfer-encoding.ts';

function decode(encoding: string, input: string | Buffer, size = 1_000_000): { bytes: Buffer; defects: Defect[] } {
  const defects: Defects = new Set();
  const decoder = transferDecoder(encoding, defects);
  const bytes = Buffer.from(input);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(Buffer.from(decoder.write(bytes.subarray(at, at + size))));
  out.push(decoder.end());
  return { bytes: Buffer.concat(out), defects: [...defects] };
}

const text = (encoding: string, input: string, size?: number) => decode(encoding, input, size).bytes.toString('utf8');
const sizes = [1, 2, 3, 5, 7, 64, 1_000_000];

describe('base64', () => {
  test.each(sizes)('brings all bytes back, in chunks of %i', (size) => {
    const bytes = randomBytes(5_000);
    const encoded = bytes.toString('base64').replace(/.{76}/g, '$&\r\n');
    expect(decode('base64', encoded, size)).toEqual({ bytes, defects: [] });
  });

  test('goes on after padding: pieces that were encoded one by one', () => {
    expect(text('base64', 'YQ==YmM=\r\nZGVm')).toBe('abcdef');
  });

  test('does without padding, and takes the URL alphabet', () => {
    expect(text('base64', 'YWI')).toBe('ab');
    expect(decode('base64', '-_-_').bytes).toEqual(Buffer.from('+/+/', 'base64'));
  });

  test('reports what is not base64, and reads the rest', () => {
    expect(decode('base64', 'YW*I=')).toEqual({ bytes: Buffer.from('ab'), defects: ['invalid-base64'] });
    expect(decode('base64', 'YWJjZ').defects).toEqual(['invalid-base64']);
  });
});

describe('quoted-printable', () => {
  const sample = 'Gr=C3=BC=c3=9fe  \r\nsoft=\r\nly =  \r\nand=20\r\nkeep=3D\t\t\r\n=\n=\rend =';
  const expected = 'Grüße\r\nsoftly and \r\nkeep=\r\nend ';

  test.each(sizes)('decodes escapes and soft line ends, in chunks of %i', (size) => {
    expect(text('quoted-printable', sample, size)).toBe(expected);
    expect(decode('quoted-printable', sample, size).defects).toEqual([]);
  });

  test.each(sizes)('leaves what is no escape as it is, in chunks of %i', (size) => {
    expect(text('quoted-printable', 'a=b c=ZZ =4x = y 100% =', size)).toBe('a=b c=ZZ =4x = y 100% ');
    expect(decode('quoted-printable', '=zz', size).defects).toEqual(['invalid-quoted-printable']);
    expect(text('quoted-printable', 'half=4', size)).toBe('half=4');
  });

  test('brings all bytes back that an encoder wrote', () => {
    const bytes = randomBytes(20_000);
    const encoded = libqp.wrap(libqp.encode(bytes));
    for (const size of sizes) expect(decode('quoted-printable', encoded, size).bytes).toEqual(bytes);
  });

  test('blanks without end are not held back without end', () => {
    const blanks = ' '.repeat(10_000);
    expect(text('quoted-printable', `${blanks}x`, 100)).toBe(`${blanks}x`);
  });
});

describe('others', () => {
  test.each(sizes)('uuencode, in chunks of %i', (size) => {
    const encoded = 'in front\nbegin 644 cat.txt\n#0V%T\n`\nend\nbehind\n';
    expect(decode('x-uuencode', encoded, size)).toEqual({ bytes: Buffer.from('Cat'), defects: [] });
  });

  test('uuencode without a beginning is reported', () => {
    expect(decode('uuencode', 'nothing\n').defects).toEqual(['invalid-uuencode']);
  });

  test.each(['', '7bit', '8bit', 'binary', '7-bit', '8bits'])('%j changes nothing', (encoding) => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    expect(decode(encoding, all)).toEqual({ bytes: all, defects: [] });
  });

  test('an unknown encoding changes nothing and is reported', () => {
    expect(decode('x-foo', 'a=b')).toEqual({ bytes: Buffer.from('a=b'), defects: ['unknown-transfer-encoding'] });
  });
});
