import { describe, expect, it } from 'vitest';
import { parsePropertiesText } from './properties-text.ts';

const pairs = (text: string) => parsePropertiesText(text).properties.map(({ name, value }) => [name, value]);

describe('parsePropertiesText', () => {
  it.each([
    // Separators: the first =, : or white space that is not escaped; one of them, with white space around it.
    ['a=b', 'a', 'b'],
    ['a:b', 'a', 'b'],
    ['a b', 'a', 'b'],
    ['a\tb', 'a', 'b'],
    ['a\fb', 'a', 'b'],
    ['  a  =  b  ', 'a', 'b  '],
    ['a = = b', 'a', '= b'],
    ['a==b', 'a', '=b'],
    ['a : = b', 'a', '= b'],
    ['a=b=c:d e', 'a', 'b=c:d e'],
    ['a', 'a', ''],
    ['a=', 'a', ''],
    ['=b', '', 'b'],
    ['a\u00a0=b', 'a\u00a0', 'b'],
    // Escapes, in names too.
    ['a\\=b=c', 'a=b', 'c'],
    ['a\\:b=c', 'a:b', 'c'],
    ['a\\ b=c', 'a b', 'c'],
    ['\\#a=b', '#a', 'b'],
    ['a=\\t\\n\\r\\f', 'a', '\t\n\r\f'],
    ['a=\\z\\"\\\\', 'a', 'z"\\'],
    ['a=M\\u00fcnchen\\u00DF', 'a', 'Münchenß'],
    ['\\u0061=b', 'a', 'b'],
    ['a=\\\\u00fc', 'a', '\\u00fc'],
    ['a=\\ud83d\\ude00', 'a', '😀'],
    ['a=\\ b', 'a', ' b'],
    ['a=Grüße # no comment', 'a', 'Grüße # no comment'],
    // Continuation: an odd number of backslashes; the next line's leading white space goes.
    ['a=b\\\n   c', 'a', 'bc'],
    ['a=b\\\r\n\tc', 'a', 'bc'],
    ['a=b\\\rc', 'a', 'bc'],
    ['a=b\\\\\\\n c', 'a', 'b\\c'],
    ['a=b \\\n c \\\n d', 'a', 'b c d'],
    ['a\\\n =b', 'a', 'b'],
    ['a=b\\\n#c', 'a', 'b#c'],
    ['a=b\\', 'a', 'b'],
    ['a=b\\\n   \n', 'a', 'b'],
    ['a=b\\\n   \\\n#c', 'a', 'b#c'],
    ['\ufeffa=b', 'a', 'b'],
  ])('%j', (text, name, value) => {
    expect(parsePropertiesText(text)).toEqual({ properties: [{ name, value, line: 1 }], mistakes: [] });
  });

  it('passes over comments and blank lines, and numbers each line', () => {
    const text = '# a=b\\\n! c=d\n\n  \t\n  # e\nf=g\\\n  h\n\ni=j\r\nk\\\\\nl=m';
    expect(parsePropertiesText(text).properties).toEqual([
      { name: 'f', value: 'gh', line: 6 },
      { name: 'i', value: 'j', line: 9 },
      { name: 'k\\', value: '', line: 10 },
      { name: 'l', value: 'm', line: 11 },
    ]);
  });

  it('takes a backslash alone for nothing: comments may follow it', () => {
    expect(pairs('\\\n# a=b\n\\\n\n\\\nc=d\n\\')).toEqual([['c', 'd']]);
  });

  it('keeps the order and repeated names', () => {
    expect(pairs('b=1\na=2\nb=3\n__proto__=4')).toEqual([
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
      ['__proto__', '4'],
    ]);
  });

  it('names the lines that cannot be read, and reads the others', () => {
    const { properties, mistakes } = parsePropertiesText('a=1\nb=\\u12\nc=\\u00fc\\uxyzw\nd\\u=1\ne=M\ufffdnchen\nf=2');
    expect(properties.map(({ name }) => name)).toEqual(['a', 'f']);
    expect(mistakes).toEqual([
      { line: 2, detail: expect.stringContaining('four hexadecimal digits') },
      { line: 3, detail: expect.stringContaining('four hexadecimal digits') },
      { line: 4, detail: expect.stringContaining('four hexadecimal digits') },
      { line: 5, detail: expect.stringContaining('another encoding') },
    ]);
  });

  it('is not slowed down by hostile texts', () => {
    const size = 65_536;
    const start = performance.now();
    for (const text of [
      `${'\\'.repeat(size - 1)}x`,
      '\\\n'.repeat(size / 2),
      'a\\u0061'.repeat(size / 7),
      ' '.repeat(size),
      `a${' '.repeat(size)}=`,
      'a='.repeat(size / 2),
      '\n'.repeat(size),
    ])
      parsePropertiesText(text);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
