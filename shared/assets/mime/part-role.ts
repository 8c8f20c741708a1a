import type { BodyKind } from './mail.ts';
import type { PartHeader } from './part-header.ts';
import type { PartPlace } from './splitter.ts';

/** What a mail client does with a part: shows it as the body, or lists it. */
export type PartRole = { readonly body: BodyKind } | { readonly body: undefined; readonly inline: boolean };

const kinds = new Map<string, BodyKind>([
  ['text/plain', 'text'],
  ['text/html', 'html'],
]);

/**
 * Text is a body where nothing says otherwise: no `attachment`, no file name (outside an alternative, and but for a
 * mail that is nothing else), and no second version of what is there already. `seen` tells whether this multipart
 * already gave a body of that kind.
 */
export function roleOf(header: PartHeader, place: PartPlace, seen: (kind: BodyKind) => boolean): PartRole {
  const kind = kinds.get(header.contentType);
  if (kind !== undefined && header.disposition !== 'attachment') {
    const alone = place.parent === undefined;
    const alternative = place.parent === 'alternative';
    const named = header.filename !== undefined && !alone && !alternative;
    const repeated = alternative && seen(kind);
    const related = place.parent === 'related' && place.index > 0 && header.contentId !== undefined;
    if (!named && !repeated && !related) return { body: kind };
  }
  const shown = header.contentId !== undefined && place.parent === 'related';
  return { body: undefined, inline: header.disposition === 'inline' || (header.disposition === undefined && shown) };
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
