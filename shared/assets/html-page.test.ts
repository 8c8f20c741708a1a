import { describe, expect, test } from 'vitest';
import { htmlPage } from './html-page.ts';

const picture = (n: number, more: object) => ({
  n,
  filename: null,
  contentType: 'image/png',
  size: 1,
  sha256: '',
  contentId: null,
  inline: true,
  path: '',
  ...more,
});

const attachments = [
  picture(1, { contentId: 'logo@example.org' }),
  picture(2, { contentId: 'a%b' }),
  picture(3, { filename: 'photo 1.jpg' }),
  picture(4, { filename: 'beside.png', inline: false }),
  picture(5, { contentId: 'page@example.org', contentType: 'text/html' }),
];

const sourcesOf = (html: string) => {
  const page = htmlPage(
    { subject: null, attachments },
    { html: { text: html, cut: false }, text: undefined },
    { remote: false },
  );
  return [...page.html.matchAll(/<img[^>]*?(?:src="([^"]*)")? \/>/g)].map(([, src]) => src);
};

describe('images of the mail', () => {
  test.each([
    ['cid:logo@example.org', 'attachments/1'],
    ['CID:logo%40example.org', 'attachments/1'],
    ['cid:a%25b', 'attachments/2'],
    ['cid:a%b', 'attachments/2'],
    ['photo%201.jpg', 'attachments/3'],
    ['images/photo 1.jpg', 'attachments/3'],
    ['cid:nothing', undefined],
    ['cid:', undefined],
    ['beside.png', undefined],
    ['cid:page@example.org', undefined],
    ['file:///photo 1.jpg', undefined],
    ['', undefined],
  ])('%s', (src, found) => {
    expect(sourcesOf(`<img src="${src}">`)).toEqual([found]);
  });
});

test('a text is shown as it is, and nothing in it is HTML', () => {
  const text = 'a <b> & "c"\n  d</div><script>alert(1)</script>';
  const { html } = htmlPage(
    { subject: '</title><script>', attachments: [] },
    { html: undefined, text: { text, cut: false } },
    { remote: true },
  );
  expect(html).toContain('a &#60;b&#62; &#38; &#34;c&#34;\n  d&#60;/div&#62;');
  expect(html).not.toMatch(/<script/i);
});

test('without any body the page is empty', () => {
  const page = htmlPage({ subject: null, attachments: [] }, { html: undefined, text: undefined }, { remote: false });
  expect(page.remoteContent).toBe('none');
  expect(page.html).toContain('<body>');
});
