import { type DefaultTreeAdapterTypes, parseFragment } from 'parse5';
import { describe, expect, test } from 'vitest';
import { attacks } from './attacks.test-support.ts';
import { safeHtml } from './safe-html.ts';

const options = { image: () => undefined, remote: false };
const clean = (markup: string) => safeHtml(markup, options).html;

/** All elements of what a browser makes of some HTML. */
function elementsOf(html: string): DefaultTreeAdapterTypes.Element[] {
  const found: DefaultTreeAdapterTypes.Element[] = [];
  const open: DefaultTreeAdapterTypes.ParentNode[] = [parseFragment(html)];
  for (let next = open.pop(); next; next = open.pop()) {
    for (const child of next.childNodes) {
      if (!('tagName' in child)) continue;
      found.push(child);
      open.push(child);
      if ('content' in child) open.push(child.content);
    }
  }
  return found;
}

const harmless =
  /^(?:a|abbr|address|article|aside|b|bdi|bdo|big|blockquote|br|caption|center|cite|code|col|colgroup|dd|del|dfn|div|dl|dt|em|figcaption|figure|font|footer|h[1-6]|header|hr|i|img|ins|kbd|li|main|mark|nav|ol|p|pre|q|rp|rt|ruby|s|samp|section|small|span|strike|strong|sub|sup|table|tbody|td|tfoot|th|thead|time|tr|tt|u|ul|var|wbr)$/;
const silent =
  /^(?:abbr|align|alt|bgcolor|border|cell(?:padding|spacing)|color|colspan|dir|face|height|hspace|lang|noshade|nowrap|rel|reversed|rowspan|scope|size|span|start|summary|target|title|type|valign|value|vspace|width)$/;

/** What in the HTML could run, fetch, submit or move; empty where it is safe. */
function dangers(html: string): string[] {
  return elementsOf(html).flatMap(({ tagName, namespaceURI, attrs }) => [
    ...(harmless.test(tagName) && namespaceURI === 'http://www.w3.org/1999/xhtml' ? [] : [`<${tagName}>`]),
    ...attrs.flatMap(({ name, value }) => {
      const problem = `${tagName} ${name}=${value}`;
      if (name === 'href') return /^(?:https?:\/\/|mailto:|tel:)/i.test(value) ? [] : [problem];
      if (name === 'src') return /^data:image\/(?:png|gif|jpe?g|webp|bmp);/i.test(value) ? [] : [problem];
      if (name === 'style') {
        return /url|expression|import|behavior|binding|position|@|\\|javascript|var\(/i.test(value) ? [problem] : [];
      }
      return silent.test(name) ? [] : [problem];
    }),
  ]);
}

test('dangers are seen', () => {
  const some = '<svg><a href="javascript:x">x</a></svg><p onclick=x style="background:url(x)"><img src=http://x/y>';
  expect(dangers(some)).toHaveLength(6);
});

describe('what an attacker writes', () => {
  test.each(attacks)('%s', (attack) => {
    for (const markup of [attack, `<p>before</p>${attack}<p>after`, `<div><table><tr><td>${attack}</table></div>`]) {
      const html = clean(markup);
      expect(dangers(html)).toEqual([]);
      // What was sanitised once is left as it is.
      expect(clean(html)).toBe(html);
    }
  });

  test('pieces of it in any order', () => {
    let state = 20_260_101;
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const pieces = attacks.flatMap((attack) => attack.split(/(?=[<>"'= ])/));
    for (let round = 0; round < 600; round++) {
      const markup = Array.from({ length: 1 + random(24) }, () => pieces[random(pieces.length)]).join('');
      expect(dangers(clean(markup)), markup).toEqual([]);
    }
  });
});

describe('what mail programs write', () => {
  test('stays as it looks', () => {
    const letter =
      '<h1>Hello</h1><p style="color:#333;font-family:Arial, \'Segoe UI\', sans-serif;margin:0 0 12px">Dear <b>Bob</b></p>' +
      '<table width="600" cellpadding="0" border="0" bgcolor="#ffffff"><tbody><tr><td align="center" valign="top" ' +
      'style="padding:10px 20px;background-color:rgb(1, 2, 3);border:1px solid #ccc">x</td></tr></tbody></table>' +
      '<ul><li>one</li></ul><blockquote type="cite">quoted</blockquote>';
    expect(clean(letter)).toBe(letter);
  });

  test('links open elsewhere and know nothing of this page', () => {
    expect(clean('<a href="https://example.com/?a=1&amp;b=2">x</a><a href=mailto:a@b>y</a>')).toBe(
      '<a href="https://example.com/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow">x</a>' +
        '<a href="mailto:a@b" target="_blank" rel="noopener noreferrer nofollow">y</a>',
    );
  });

  test('text in what is not kept stays, code and hidden documents go', () => {
    expect(clean('<form><label>Name</label><fieldset>set</fieldset></form><style>p{}</style><title>t</title>')).toBe(
      'Nameset',
    );
    expect(clean('a<!--[if mso]>b<![endif]-->c<![if !mso]>d<![endif]>')).toBe('acd');
  });

  test("colours of the body are the page's", () => {
    expect(clean('<body bgcolor="#eee" text=black style="margin:0">x')).toBe(
      '<div style="background-color:#eee;color:black;margin:0">x</div>',
    );
  });

  test('pictures in the HTML itself stay', () => {
    const picture = 'data:image/png;base64,iVBORw0KGgo=';
    expect(clean(`<img alt=x src="${picture}">`)).toBe(`<img alt="x" src="${picture}" />`);
  });

  test('images of the mail are asked for by what names them', () => {
    const asked: string[] = [];
    const image = (src: string) => {
      asked.push(src);
      return 'attachments/1';
    };
    const { html, hasRemote } = safeHtml('<img src="cid:a@b"><img src=" CID:x ">', { image, remote: false });
    expect(html).toBe('<img src="attachments/1" /><img src="attachments/1" />');
    expect([asked, hasRemote]).toEqual([['cid:a@b', 'CID:x'], false]);
  });

  test('images from elsewhere are there only where they are wanted', () => {
    const markup = '<img src="https://example.com/a.png" alt="a" width=10><img src="//example.com/b">';
    expect(safeHtml(markup, options)).toEqual({
      html: '<img alt="a" width="10" /><img />',
      hasRemote: true,
    });
    expect(safeHtml(markup, { ...options, remote: true })).toEqual({
      html: '<img alt="a" width="10" src="https://example.com/a.png" /><img src="//example.com/b" />',
      hasRemote: true,
    });
  });
});

test.each(['<div>', '<b>', '<table><tr><td>', '<ul><li>', '<svg>', '<noscript></p>', '<a href=x>', '<font size=1>'])(
  '100,000 times %s costs no more than it should',
  (piece) => {
    const html = clean(`${piece.repeat(100_000)}words`);
    expect(dangers(html)).toEqual([]);
    expect(elementsOf(html).length).toBeLessThan(250_000);
  },
);

test('what is nested too deep stays as text', () => {
  expect(clean(`${'<div>'.repeat(1_000)}<i>deep</i> words<script>x</script>`)).toMatch(/>deep words</);
});
