import sanitizeHtml from 'sanitize-html';
import { safeStyles } from './safe-style.ts';
import { shallowHtml } from './shallow-html.ts';

/** How HTML is made safe. */
export interface SafeHtmlOptions {
  /** Where the image is that `src` names (`cid:…`, or a file name); undefined where the mail has none. */
  readonly image: (src: string) => string | undefined;
  /** Images from elsewhere are kept: showing them lets their senders know that the mail is read. */
  readonly remote: boolean;
}

/** HTML without anything that runs or fetches. */
export interface SafeHtml {
  /** Elements for a body. */
  readonly html: string;
  /** There are images from elsewhere. */
  readonly hasRemote: boolean;
}

/** Elements that shape text and tables. None has a content model of its own that a browser could read differently. */
const elements =
  'a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em ' +
  'figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q rp rt ruby s samp ' +
  'section small span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var wbr';

/** Elements that go with all that is in them: code, and what no page shows, or shows as another document. */
const dropped: ReadonlySet<string> = new Set([
  ...['applet', 'audio', 'canvas', 'embed', 'frame', 'frameset', 'iframe', 'math', 'noembed', 'noframes'],
  ...['noscript', 'object', 'optgroup', 'option', 'param', 'plaintext', 'portal', 'script', 'select'],
  ...['style', 'svg', 'template', 'textarea', 'title', 'video', 'xmp'],
]);

const attributes = {
  '*': ['align', 'dir', 'lang', 'style', 'title', 'valign', 'bgcolor'],
  a: ['href'],
  blockquote: ['type'],
  col: ['span', 'width'],
  colgroup: ['span', 'width'],
  font: ['color', 'face', 'size'],
  hr: ['noshade', 'size', 'width'],
  img: ['src', 'alt', 'width', 'height', 'border', 'hspace', 'vspace'],
  li: ['value'],
  ol: ['start', 'type', 'reversed'],
  table: ['border', 'cellpadding', 'cellspacing', 'height', 'width', 'summary'],
  td: ['abbr', 'colspan', 'height', 'nowrap', 'rowspan', 'scope', 'width'],
  th: ['abbr', 'colspan', 'height', 'nowrap', 'rowspan', 'scope', 'width'],
  tr: ['height'],
  ul: ['type'],
};

/** Pictures inside the mail itself; of SVG none, which is a document. */
const pictureData = /^data:image\/(?:png|gif|jpe?g|webp|bmp);base64,[A-Za-z0-9+/=\s]{1,}$/i;
const remoteImage = /^(?:https?:)?\/\//i;
const link = /^(?:https?:\/\/|mailto:|tel:)/i;

/** What a browser leaves out of an address before it looks at the scheme (WHATWG URL, basic URL parser). */
function addressOf(value: string | undefined): string {
  return [...(value ?? '')]
    .filter((character) => character > '\u001f' && character !== '\u007f')
    .join('')
    .trim();
}

/**
 * The HTML of a mail without anything that runs, fetches, submits or leaves the place it is shown in: only elements,
 * attributes and styles of closed lists are written out again, with links to https, http, mailto and tel. `cid:` images
 * become links to attachments, images from elsewhere go unless `remote`.
 */
export function safeHtml(markup: string, { image, remote }: SafeHtmlOptions): SafeHtml {
  let hasRemote = false;
  const sourceOf = (value: string | undefined): string | undefined => {
    const src = addressOf(value);
    if (remoteImage.test(src)) {
      hasRemote = true;
      return remote ? src : undefined;
    }
    return pictureData.test(src) ? src : image(src);
  };
  const html = sanitizeHtml(shallowHtml(markup, dropped), {
    allowedTags: elements.split(' '),
    nonTextTags: [...dropped],
    allowedAttributes: { ...attributes, a: ['href', 'target', 'rel'] },
    allowedStyles: { '*': { ...safeStyles } },
    allowedSchemes: ['http', 'https', 'mailto', 'tel'],
    allowedSchemesByTag: { img: ['http', 'https', 'data'] },
    allowedSchemesAppliedToAttributes: ['href', 'src'],
    allowProtocolRelative: true,
    disallowedTagsMode: 'discard',
    transformTags: {
      // The page has a body of its own; its colours are the mail's.
      body: (tagName, { bgcolor = '', text = '', style = '' }) => {
        const styles = [bgcolor && `background-color:${bgcolor}`, text && `color:${text}`, style].filter(Boolean);
        return styles.length > 0 ? { tagName: 'div', attribs: { style: styles.join(';') } } : { tagName, attribs: {} };
      },
      a: (tagName, { href, target: _, rel: __, ...rest }) => {
        const address = addressOf(href);
        if (!link.test(address)) return { tagName, attribs: rest };
        return {
          tagName,
          attribs: { ...rest, href: address, target: '_blank', rel: 'noopener noreferrer nofollow' },
        };
      },
      img: (tagName, { src, ...rest }) => {
        const source = sourceOf(src);
        return { tagName, attribs: source === undefined ? rest : { ...rest, src: source } };
      },
    },
  });
  return { html, hasRemote };
}
