/**
 * Folder names travel in modified UTF-7 (RFC 3501 section 5.1.3): printable US-ASCII as it is, `&` as `&-`, everything
 * else as UTF-16 in base64 between `&` and `-`, with `,` for `/` and without padding.
 */
export function encodeFolderName(name: string): string {
  return name.replace(/&|[^\x20-\x7e]+/g, (part) => {
    if (part === '&') return '&-';
    const utf16 = Buffer.from(part, 'utf16le').swap16();
    return `&${utf16.toString('base64').replace(/=+$/, '').replace(/\//g, ',')}-`;
  });
}
