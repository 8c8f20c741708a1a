import addressparser from 'nodemailer/lib/addressparser';
import { decodeWords } from './encoded-words.ts';
import { cleanLine } from './header-block.ts';
import type { Address, Defects } from './mail.ts';

/** Commas and semicolons read per address kept: names hold some, and a list of nothing else must stay cheap. */
const SEPARATORS_PER_ADDRESS = 4;

/** Encoded words whose text holds what separates addresses, which RFC 2047 section 5 (3) forbids. */
const encodedWord = /=\?[^?\s]{1,80}\?q\?[^?\s]{1,998}\?=/gi;

/** `Undisclosed-Recipient:@gateway.example;`: a group of nobody, to which a gateway added its own name. */
const undisclosed = /^[<"]?undisclosed[- _]?recipients?"?[ \t]{0,9}:[^;<>,]{0,200};?>?$/i;

/** A comment behind a group, which is no mailbox. */
const commentBehindGroup = /;[ \t]{0,20}\([^()]{0,200}\)[ \t]{0,20}(?=,|$)/g;

/** What may be a mailbox whose name is an address. */
const ownName = /([^\s"<>,;:@]{1,64}@[^\s"<>,;:@]{1,255})"?[ \t]<([^\s<>]{1,320})>/g;

/** Mailboxes of address fields (RFC 5322 section 3.4), groups flattened, names decoded, at most `limit`. */
export function readAddresses(fields: readonly string[], limit: number, defects: Defects): Address[] {
  const result: Address[] = [];
  for (const field of fields) {
    const text = cutAfterSeparators(field, limit * SEPARATORS_PER_ADDRESS);
    if (text.length < field.length) defects.add('too-many-addresses');
    if (undisclosed.test(text.trim())) continue;
    const ownNames = namedLikeThemselves(text);
    const parsed = addressparser(maskWords(text.replace(commentBehindGroup, ';')), { flatten: true });
    for (const found of parsed) {
      // A bracket that was never opened.
      const address = cleanLine(decodeWords(found.address ?? '', defects)).replace(/(?<!>)>+$/, '');
      const name = cleanLine(decodeWords(found.name, defects)) || (ownNames.has(address) ? address : '');
      if (name === '' && address === '') continue;
      if (result.length >= limit) {
        defects.add('too-many-addresses');
        return result;
      }
      result.push({ name, address });
    }
  }
  return result;
}

/** Addresses that stand in front of themselves, as in `"a@b" <a@b>`: the parser leaves such a name out. */
function namedLikeThemselves(text: string): ReadonlySet<string> {
  const found = text.matchAll(ownName);
  return new Set([...found].flatMap(([, name, address]) => (name === address && name !== undefined ? [name] : [])));
}

function maskWords(text: string): string {
  if (!text.includes('=?')) return text;
  return text.replace(encodedWord, (word) => {
    const start = word.indexOf('?', word.indexOf('?', 2) + 1) + 1;
    const payload = word.slice(start, -2).replace(/[,;:<>()@"\\]/g, (special) => {
      return `=${special.charCodeAt(0).toString(16).padStart(2, '0')}`;
    });
    return `${word.slice(0, start)}${payload}?=`;
  });
}

function cutAfterSeparators(text: string, separators: number): string {
  let left = separators;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code === 0x2c || code === 0x3b) && --left === 0) return text.slice(0, at);
  }
  return text;
}
