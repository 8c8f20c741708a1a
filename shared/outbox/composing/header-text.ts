import { encodeWord, foldLines } from 'nodemailer/lib/mime-funcs';

/** RFC 5322 section 2.1.1: where lines are best folded. */
const foldAt = 76;

/** RFC 2047 section 2: an encoded word has at most 75 characters, of which a header's name may take some from the first. */
const encodedWordLength = 52;

/** A longer first word would be folded away from its header's name, which some readers take for a space of its own. */
const maxPlainWord = 60;

/** True for text that stays itself when it is written, folded, unfolded and read by a decoder of encoded words. */
function isPlain(text: string): boolean {
  return (
    /^[\u0020-\u007e]*$/.test(text) &&
    !text.includes('=?') &&
    !/^ | $| {2}/.test(text) &&
    text.split(' ').every((word) => word.length <= maxPlainWord)
  );
}

function encoded(text: string): string {
  const ascii = text.replace(/[^\u0020-\u007e]/g, '').length;
  return encodeWord(text, ascii * 2 > text.length ? 'Q' : 'B', encodedWordLength);
}

/** The lines, without the last CRLF, of a header that holds text for people (RFC 5322 section 2.2.1, RFC 2047). */
export function textHeader(name: string, text: string): string {
  return foldLines(`${name}: ${isPlain(text) ? text : encoded(text)}`, foldAt);
}

/**
 * The lines of a header whose value may be structured (`List-Unsubscribe: <https://…>`): ASCII goes as it is, since an
 * encoded word inside a structure would not be read.
 */
export function structuredHeader(name: string, value: string): string {
  // Of several blanks, folding would leave one or none.
  const plain = /^[\u0020-\u007e]*$/.test(value) ? value.replace(/ {2,}/g, ' ') : encoded(value);
  return foldLines(`${name}: ${plain}`, foldAt);
}
