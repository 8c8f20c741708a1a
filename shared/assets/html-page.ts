import type { Asset } from './asset.ts';
import type { Body } from './library.ts';
import { safeHtml } from './safe-html.ts';

/** How a body is shown. */
export interface HtmlPageOptions {
  /** Images from elsewhere are loaded. */
  readonly remote: boolean;
}

/** A body as a page. */
export interface HtmlPage {
  readonly html: string;
  /** What became of images from elsewhere; `none`: there are none. */
  readonly remoteContent: 'none' | 'blocked' | 'allowed';
  /** What the page may do, for a Content-Security-Policy. */
  readonly policy: string;
}

/**
 * The body of a mail as a page of its own: its HTML, sanitised, or else its text. Images of the mail are linked as
 * `attachments/{n}`, beside the page. The page's own policy allows no more than that, also where it is stored or shown
 * without the headers that it was served with.
 */
export function htmlPage(
  asset: Pick<Asset, 'subject' | 'attachments'>,
  bodies: { readonly html: Body | undefined; readonly text: Body | undefined },
  { remote }: HtmlPageOptions,
): HtmlPage {
  const body = bodies.html ?? bodies.text;
  const isHtml = bodies.html !== undefined;
  const { html, hasRemote } = isHtml
    ? safeHtml(bodies.html.text, { image: imagesOf(asset.attachments), remote })
    : { html: plainText(bodies.text?.text ?? ''), hasRemote: false };
  const loads = hasRemote && remote;
  const policy = [
    "default-src 'none'",
    `img-src 'self' data:${loads ? ' https: http:' : ''}`,
    "style-src-attr 'unsafe-inline'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return {
    html: [
      '<!doctype html>',
      '<html>',
      '<head>',
      '<meta charset="utf-8">',
      `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
      '<meta name="referrer" content="no-referrer">',
      '<meta name="viewport" content="width=device-width">',
      `<title>${escaped(asset.subject ?? '')}</title>`,
      '</head>',
      '<body>',
      html,
      ...(body?.cut ? ['<hr><p>The mail is longer. The whole is in its MIME.</p>'] : []),
      '</body>',
      '</html>',
      '',
    ].join('\n'),
    remoteContent: hasRemote ? (loads ? 'allowed' : 'blocked') : 'none',
    policy,
  };
}

/** Finds images of the mail by `cid:` (RFC 2392), or by the name of a file inside it, as in MHTML (RFC 2557). */
function imagesOf(attachments: Asset['attachments']): (src: string) => string | undefined {
  const pictures = attachments.filter(({ contentType }) => contentType.startsWith('image/'));
  return (src) => {
    const id = /^cid:(.+)$/i.exec(src)?.[1];
    const name = id === undefined && !src.includes(':') ? src.slice(src.lastIndexOf('/') + 1) : undefined;
    const found = pictures.find(({ contentId, filename, inline }) => {
      if (id !== undefined) return contentId !== null && [id, decoded(id)].includes(contentId);
      return inline && name !== '' && filename !== null && [name, decoded(name)].includes(filename);
    });
    return found && `attachments/${found.n}`;
  };
}

function decoded(text: string | undefined): string | undefined {
  try {
    return text && decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function plainText(text: string): string {
  return `<div style="white-space: pre-wrap; overflow-wrap: anywhere">${escaped(text)}</div>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
