import { Libmime } from 'libmime';

/** Leaves room for `{n}-` and a long folder in a blob path; most file systems end at 255 bytes. */
const MAX_CHARACTERS = 120;

/** Longer endings are no file extensions. */
const MAX_EXTENSION = 16;

/** Device names of Windows, whatever extension they have. */
const reserved = /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)/i;

/** Characters looked at, besides the end that holds the extension. */
const MAX_READ = 1_000;

const libmime = new Libmime();

/**
 * A file name that is safe as one segment of a blob path and on any file system: Unicode letters in NFC, no path,
 * no control or bidirectional characters, no leading or trailing dots, no Windows device name, at most 120 characters
 * with the extension kept, never empty. Distinct names are the caller's: two attachments may have the same.
 */
export function safeFileName(name: string | undefined, contentType: string, n: number): string {
  const cleaned = clean(name ?? '');
  if (cleaned === '') return `attachment-${n}.${extensionFor(contentType)}`;
  const dot = cleaned.lastIndexOf('.');
  const hasExtension = dot > 0 && cleaned.length - dot <= MAX_EXTENSION + 1;
  const extension = hasExtension ? cleaned.slice(dot) : '';
  const stem = hasExtension ? cleaned.slice(0, dot) : cleaned;
  const result = `${shorten(stem, MAX_CHARACTERS - extension.length)}${extension}`;
  return reserved.test(result) ? `_${result}` : result;
}

function clean(name: string): string {
  return (
    (name.length > MAX_READ ? name.slice(0, MAX_READ) + name.slice(-MAX_EXTENSION - 1) : name)
      .toWellFormed()
      .normalize('NFC')
      // What else separates paths or streams, quotes, or stands for other characters.
      .replace(/[/\\:*?"<>|%#]/g, '_')
      // Controls, format characters (which can turn the reading direction), separators, unassigned ones.
      .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, '')
      .replace(/\p{Zs}+/gu, ' ')
      .replace(/^[. ]+/, '')
      .replace(/(?<![. ])[. ]+$/, '')
      .normalize('NFC')
  );
}

/** Cuts between two characters, not inside a surrogate pair. */
function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length);
  return (cut.isWellFormed() ? cut : cut.slice(0, -1)).replace(/(?<![. ])[. ]+$/, '');
}

function extensionFor(contentType: string): string {
  if (contentType === 'message/rfc822' || contentType === 'message/global') return 'eml';
  const known = libmime.detectExtension(contentType);
  if (known !== 'bin' && /^[a-z0-9]{1,8}$/.test(known)) return known;
  return /^(?:text|message)\//.test(contentType) ? 'txt' : 'bin';
}
