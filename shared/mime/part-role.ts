import type { BodyKind } from './mail.ts';
import type { PartHeader } from './part-header.ts';
import type { PartPlace } from './splitter.ts';

/** What a mail client does with a part: shows it as the body, or lists it. */
export type PartRole = { readonly body: BodyKind } | { readonly body: undefined; readonly inline: boolean };

const kinds = new Map<string, BodyKind>([
  ['text/plain', 'text'],
  ['text/html', 'html'],
  ['application/xhtml+xml', 'html'],
]);

/** Whether a text has commands in it (RFC 1896): it is a body only where the mail has none that reads without. */
export function isEnriched({ contentType }: Pick<PartHeader, 'contentType'>): boolean {
  return contentType === 'text/enriched' || contentType === 'text/richtext';
}

/**
 * Text is a body where nothing says otherwise (RFC 8621 section 4.1.4): no `attachment`, no file name, and in a
 * multipart/related only its root. The first text of the mail, or of its multipart, is one also under a file name.
 * `hasBody`: the mail has given one already.
 */
export function roleOf(
  header: PartHeader,
  place: Pick<PartPlace, 'parent' | 'index' | 'start'>,
  hasBody: boolean,
): PartRole {
  const kind = isEnriched(header) && !hasBody ? 'text' : kinds.get(header.contentType);
  if (kind !== undefined && header.disposition !== 'attachment') {
    const named = header.filename !== undefined && place.parent !== undefined && place.parent !== 'alternative';
    const first = place.index === 0 || !hasBody;
    const addressed = header.contentId !== undefined || header.location !== undefined;
    const shownByRoot = place.parent === 'related' && addressed && !isRoot(header, place, hasBody);
    if (!(named && !first) && !shownByRoot) return { body: kind };
  }
  const addressed = header.contentId !== undefined || header.location !== undefined;
  const shown = addressed && place.parent === 'related';
  return { body: undefined, inline: header.disposition === 'inline' || (header.disposition === undefined && shown) };
}

/**
 * RFC 2387 section 3.2: the part that `start` names, else the first. A `start` that is wrong, or names the SMIL of an
 * MMS, must not cost the body: then it is the first text.
 */
function isRoot(header: PartHeader, place: Pick<PartPlace, 'index' | 'start'>, hasBody: boolean): boolean {
  if (!hasBody) return true;
  return place.start === undefined ? place.index === 0 : header.contentId === place.start;
}

/** Whether a part is the one that the `start` of its multipart/related names. */
export function isNamedRoot(header: PartHeader, place: Pick<PartPlace, 'parent' | 'start'>): boolean {
  return place.parent === 'related' && place.start !== undefined && header.contentId === place.start;
}

/** Names for parts that came without one and that people know by a name. */
export function conventionalName(contentType: string): string | undefined {
  switch (contentType) {
    case 'application/ms-tnef':
    case 'application/vnd.ms-tnef':
      return 'winmail.dat';
    case 'text/calendar':
    case 'application/ics':
      return 'invite.ics';
    case 'text/vcard':
    case 'text/x-vcard':
      return 'contact.vcf';
    case 'application/pkcs7-mime':
    case 'application/x-pkcs7-mime':
      return 'smime.p7m';
    case 'application/pkcs7-signature':
    case 'application/x-pkcs7-signature':
      return 'smime.p7s';
    default:
      return undefined;
  }
}
