import libmime from 'libmime';

/** Message-ID (with its angle brackets) and decoded subject of a header section, for reconciling and for dry runs. */
export function readDetails(header: Buffer): { readonly messageId?: string; readonly subject?: string } {
  const lines = textOf(header)
    .replace(/\r?\n(?=[ \t])/g, '')
    .split(/\r?\n/);
  const value = (name: string) => {
    const line = lines.find((candidate) => candidate.toLowerCase().startsWith(`${name}:`));
    const text = line?.slice(name.length + 1).trim();
    return text === '' ? undefined : text;
  };
  const messageId = value('message-id');
  const subject = value('subject');
  return {
    ...(messageId === undefined ? {} : { messageId }),
    ...(subject === undefined ? {} : { subject: decoded(subject) }),
  };
}

/** Raw 8-bit headers are UTF-8 (RFC 6532) or, where they are not, taken as Latin-1, which every octet is. */
function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return bytes.toString('latin1');
  }
}

/** An encoded word that cannot be decoded stays as it is. */
function decoded(text: string): string {
  try {
    return libmime.decodeWords(text);
  } catch {
    return text;
  }
}
