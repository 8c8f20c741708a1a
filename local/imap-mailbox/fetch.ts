import { formatDateTime } from './dates.ts';
import { envelope, headerEnd, selectFields } from './headers.ts';
import type { StoredMail } from './mailbox.ts';
import { bad, textOf, type Value } from './values.ts';

/** One item of a FETCH: what it answers, and whether asking for it marks the mail as read. */
export interface FetchItem {
  readonly marksSeen: boolean;
  readonly answer: (mail: StoredMail) => readonly (string | Buffer)[];
}

export const uidItem: FetchItem = plain('UID', (mail) => String(mail.uid));
export const flagsItem: FetchItem = plain('FLAGS', (mail) => `(${[...mail.flags].join(' ')})`);

const plainItems: readonly FetchItem[] = [
  uidItem,
  flagsItem,
  plain('INTERNALDATE', (mail) => formatDateTime(mail.receivedAt)),
  plain('RFC822.SIZE', (mail) => String(mail.bytes.length)),
  plain('ENVELOPE', (mail) => envelope(mail.bytes)),
];
const [, , internalDate, size, envelopeItem] = plainItems;
const named = new Map<string, readonly (FetchItem | undefined)[]>([
  ['UID', [uidItem]],
  ['FLAGS', [flagsItem]],
  ['INTERNALDATE', [internalDate]],
  ['RFC822.SIZE', [size]],
  ['ENVELOPE', [envelopeItem]],
  ['FAST', [flagsItem, internalDate, size]],
  ['ALL', [flagsItem, internalDate, size, envelopeItem]],
  ['RFC822', [section('RFC822', true, (mail) => mail)]],
  ['RFC822.HEADER', [section('RFC822.HEADER', false, (mail) => mail.subarray(0, headerEnd(mail)))]],
  ['RFC822.TEXT', [section('RFC822.TEXT', true, (mail) => mail.subarray(headerEnd(mail)))]],
]);

/** What a FETCH asks for (RFC 3501 section 6.4.5). BAD for BODYSTRUCTURE and MIME parts: there is no MIME parser here. */
export function fetchItems(value: Value | undefined): readonly FetchItem[] {
  const values = value?.kind === 'list' ? value.items : [value];
  return values.flatMap((one) => {
    const text = textOf(one);
    const found = named.get(text.toUpperCase())?.filter((item) => item !== undefined);
    return found ?? [bodyItem(text)];
  });
}

function bodyItem(text: string): FetchItem {
  const match =
    /^BODY(\.PEEK)?\[(HEADER\.FIELDS(?:\.NOT)? \([^()]*\)|HEADER|TEXT|)\](?:<(\d{1,10})\.(\d{1,10})>)?$/i.exec(text);
  if (!match) throw bad('Unknown FETCH item');
  const [, peek, wanted = '', start, length] = match;
  const from = Number(start ?? 0);
  const to = length === undefined ? Number.POSITIVE_INFINITY : from + Number(length);
  const label = `BODY[${wanted.toUpperCase()}]${start === undefined ? '' : `<${from}>`}`;
  return section(label, peek === undefined, (mail) => part(mail, wanted).subarray(from, to));
}

function part(mail: Buffer, wanted: string): Buffer {
  const [kind = '', ...names] = wanted.replace(/[()"]/g, ' ').trim().split(/\s+/);
  switch (kind.toUpperCase()) {
    case 'HEADER':
      return mail.subarray(0, headerEnd(mail));
    case 'TEXT':
      return mail.subarray(headerEnd(mail));
    case 'HEADER.FIELDS':
      return selectFields(mail, names, false);
    case 'HEADER.FIELDS.NOT':
      return selectFields(mail, names, true);
    default:
      return mail;
  }
}

function plain(label: string, answer: (mail: StoredMail) => string): FetchItem {
  return { marksSeen: false, answer: (mail) => [`${label} ${answer(mail)}`] };
}

function section(label: string, marksSeen: boolean, content: (mail: Buffer) => Buffer): FetchItem {
  return {
    marksSeen,
    answer(mail) {
      const bytes = content(mail.bytes);
      return [`${label} {${bytes.length}}\r\n`, bytes];
    },
  };
}
