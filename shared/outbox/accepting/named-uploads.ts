import { type Mistake, Refusal } from '../../platform/refusal.ts';
import { peek, toPointer } from '../../platform/validation.ts';
import { inlineBytes, maxAttachments } from '../composing/attachments.ts';
import { isUploadId, maxUploadBytes, type Upload } from '../uploads/uploads.ts';

/** The uploads that a request's attachments name, by their ids. */
export type Uploads = ReadonlyMap<string, Upload>;

/** The id of an upload that each attachment of an unchecked request names; undefined where it names none that can be one. */
function idsOf(request: unknown): readonly (string | undefined)[] {
  const attachments = peek(request, ['attachments']);
  if (!Array.isArray(attachments)) return [];
  return attachments.slice(0, maxAttachments).map((attachment: unknown) => {
    const id = peek(attachment, ['upload']);
    return typeof id === 'string' && isUploadId(id) ? id : undefined;
  });
}

/** Ids of the uploads that an unchecked request names, each once. */
export function namedUploads(request: unknown): readonly string[] {
  return [...new Set(idsOf(request).filter((id) => id !== undefined))];
}

/** Uploads that an unchecked request names and that there are not, or not any more. */
export function uploadMistakes(request: unknown, uploads: Uploads, now: number): readonly Mistake[] {
  return idsOf(request).flatMap((id, index) => {
    const upload = id === undefined ? undefined : uploads.get(id);
    if (id === undefined || (upload && upload.expiresAt > now)) return [];
    const detail = upload ? 'has expired; upload the file again' : 'is not there: it never was, or it has expired';
    return [{ pointer: toPointer(['attachments', index, 'upload']), detail }];
  });
}

/** Throws Refusal `tooLarge` where the attachments of an unchecked request have more than 150 MiB together, decoded. */
export function refuseLargeMail(request: unknown, uploads: Uploads): void {
  const sizes = idsOf(request).map((id) => (id === undefined ? 0 : (uploads.get(id)?.size ?? 0)));
  if (sizes.reduce((sum, size) => sum + size, inlineBytes(request)) <= maxUploadBytes) return;
  throw new Refusal('tooLarge', `The attachments of a mail are at most ${maxUploadBytes} bytes in total.`, {
    mistakes: [{ pointer: '/attachments', detail: 'are too large in total' }],
  });
}
