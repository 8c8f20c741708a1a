import iconv from 'iconv-lite';

/** Folder names travel in modified UTF-7 (RFC 3501 section 5.1.3). */
export function encodeFolderName(name: string): string {
  return iconv.encode(name, 'utf-7-imap').toString('latin1');
}
