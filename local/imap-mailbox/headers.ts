import { quote } from './values.ts';

/** Where the header section ends: behind its empty line. */
export function headerEnd(mail: Buffer): number {
  if (mail.subarray(0, 2).toString('latin1') === '\r\n') return 2;
  const end = mail.indexOf('\r\n\r\n');
  return end < 0 ? mail.length : end + 4;
}

export interface HeaderField {
  /** Lower case. */
  readonly name: string;
  /** With its folding and line end, as it stands. */
  readonly raw: string;
  /** Unfolded, without the name. */
  readonly value: string;
}

/** The header fields of a mail, in their order. */
export function headerFields(mail: Buffer): readonly HeaderField[] {
  const text = mail.toString('latin1', 0, headerEnd(mail));
  return (text.match(/^[^\s:][^:\r\n]*:.*(?:\r\n[ \t].*)*(?:\r\n|$)/gm) ?? []).map((raw) => {
    const colon = raw.indexOf(':');
    return {
      name: raw.slice(0, colon).trim().toLowerCase(),
      raw,
      value: raw
        .slice(colon + 1)
        .replace(/\r\n(?=[ \t])/g, '')
        .trim(),
    };
  });
}

/** The named fields, or all others, and the empty line. */
export function selectFields(mail: Buffer, names: readonly string[], others: boolean): Buffer {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const fields = headerFields(mail).filter((field) => wanted.has(field.name) !== others);
  return Buffer.from(`${fields.map((field) => field.raw).join('')}\r\n`, 'latin1');
}

/** ENVELOPE (RFC 3501 section 7.4.2). Groups are left out, routes are not read. */
export function envelope(mail: Buffer): string {
  const fields = headerFields(mail);
  const value = (name: string) => fields.find((field) => field.name === name)?.value;
  const text = (name: string) => nstring(value(name));
  const from = addresses(value('from'));
  return `(${[
    text('date'),
    text('subject'),
    from,
    value('sender') === undefined ? from : addresses(value('sender')),
    value('reply-to') === undefined ? from : addresses(value('reply-to')),
    addresses(value('to')),
    addresses(value('cc')),
    addresses(value('bcc')),
    text('in-reply-to'),
    text('message-id'),
  ].join(' ')})`;
}

function nstring(text: string | undefined): string {
  if (text === undefined) return 'NIL';
  // Quoted strings are 7-bit; anything else goes as a literal.
  return /^[\x20-\x7e]*$/.test(text) ? quote(text) : `{${text.length}}\r\n${text}`;
}

function addresses(field: string | undefined): string {
  const found = (field?.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []).flatMap((one) => {
    const match = /^\s*(?:(.*?)\s*<([^<>]*)>|(\S+))\s*$/s.exec(one);
    const address = match?.[2] ?? match?.[3] ?? '';
    const at = address.lastIndexOf('@');
    if (at < 0) return [];
    const name = match?.[1]?.replace(/^"(.*)"$/s, '$1').replace(/\\(.)/g, '$1');
    return [`(${nstring(name || undefined)} NIL ${nstring(address.slice(0, at))} ${nstring(address.slice(at + 1))})`];
  });
  return found.length === 0 ? 'NIL' : `(${found.join('')})`;
}
