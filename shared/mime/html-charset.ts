import { charsetName } from './charset-names.ts';
import { isCertainlyUtf8 } from './choose-charset.ts';

/** `<meta charset="x">`, and `<meta http-equiv="Content-Type" content="text/html; charset=x">`. */
const attribute = /charset\s{0,20}=\s{0,20}["']?\s{0,20}([\w.:+-]{2,40})/i;
const declaration = /^\s{0,100}<\?xml\s[^>]{0,200}?encoding\s{0,20}=\s{0,20}["']([\w.:+-]{2,40})/i;

/** Longest `<meta …>` that is looked at. */
const MAX_TAG = 500;

/**
 * The charset that HTML declares in its beginning (HTML section 13.2.3.2), as `charsetName` has it. Gateways that
 * change the charset leave the markup alone: what is certainly UTF-8 is read so.
 */
export function declaredInMarkup(bytes: Buffer): string | undefined {
  const name = charsetName(found(bytes.toString('latin1')));
  // Browsers refuse UTF-7.
  if (name === undefined || name === 'utf-7') return undefined;
  // What could be read as ASCII as far as the declaration is no UTF-16, whatever it says.
  if (name.startsWith('utf-16')) return 'utf-8';
  return name !== 'utf-8' && isCertainlyUtf8(bytes) ? 'utf-8' : name;
}

function found(markup: string): string | undefined {
  const xml = declaration.exec(markup)?.[1];
  if (xml !== undefined) return xml;
  const lower = markup.toLowerCase();
  for (let at = lower.indexOf('<meta'); at >= 0; at = lower.indexOf('<meta', at + 5)) {
    const end = lower.indexOf('>', at);
    const tag = markup.slice(at, end < 0 ? at + MAX_TAG : Math.min(end, at + MAX_TAG));
    const name = attribute.exec(tag)?.[1];
    if (name !== undefined) return name;
  }
  return undefined;
}
