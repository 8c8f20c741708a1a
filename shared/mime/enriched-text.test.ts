import { expect, test } from 'vitest';
import { collect, head, lines } from './collect.test-support.ts';
import { EnrichedText } from './enriched-text.ts';

function read(text: string): string {
  const results = [1, 3, 1_000_000].map((size) => {
    const enriched = new EnrichedText();
    let result = '';
    for (let at = 0; at < text.length; at += size) result += enriched.write(text.slice(at, at + size));
    return result + enriched.end();
  });
  for (const other of results) expect(other).toBe(results[0]);
  return results[0] ?? '';
}

test.each([
  ['<bold>Now</bold> is the time for <italic>all</italic> good men\r\n', 'Now is the time for all good men\n'],
  ['one\ntwo\n\nthree\n\n\nfour', 'one two\nthree\n\nfour'],
  ['<fontfamily><param>Times, <smaller></param>words</fontfamily>', 'words'],
  ['1 << 2 and 3 > 2', '1 < 2 and 3 > 2'],
  ['<nofill>a\nb\n</nofill>c\nd', 'a\nb\nc d'],
  ['a<nl>b<lt>c', 'a\nb<c'],
  ['an end <of a comm', 'an end <of a comm'],
  [`a <${'x'.repeat(70)} b`, `a <${'x'.repeat(70)} b`],
  ['</param></nofill>x', 'x'],
])('%j', (text, expected) => {
  expect(read(text)).toBe(expected);
});

test.each(['text/enriched', 'text/richtext'])('a mail of %s alone has a text', async (type) => {
  const body = '<bold>Grüße</bold>\r\naus Köln\r\n';
  const { mail, parts } = await collect(lines(head, `Content-Type: ${type}; charset=utf-8`, '', body));
  expect([mail.text?.trim(), parts, mail.defects]).toEqual(['Grüße aus Köln', [], []]);
});

test('beside a plain text it is an attachment', async () => {
  const { mail, parts } = await collect(
    lines(
      head,
      'Content-Type: multipart/alternative; boundary=b',
      '',
      '--b',
      '',
      'words',
      '--b',
      'Content-Type: text/enriched',
      '',
      '<bold>words</bold>',
      '--b--',
      '',
    ),
  );
  expect(mail.text?.trim()).toBe('words');
  expect(parts.map(({ contentType }) => contentType)).toEqual(['text/enriched']);
});
