import { maxUploadBytes, storeUpload, uploadTooLarge } from '../../outbox/uploads/uploads.ts';
import { mediaType } from '../body.ts';
import type { Answer, Call } from '../call.ts';
import { HttpProblem } from '../problem.ts';
import type { UploadAnswer } from './answers.ts';

/** `POST /uploads`: the body is a file; 201 with the id by which the attachments of messages name it. */
export async function handle({ request, services, signal }: Call): Promise<Answer> {
  // A form holds its files between lines of its own, which nobody wants in an attachment.
  if (mediaType(request).type === 'multipart/form-data')
    throw new HttpProblem(415, 'The body must be the bytes of the file, not a form with the file in it.');
  if (Number(request.headers.get('content-length') ?? 0) > maxUploadBytes) throw uploadTooLarge();
  const { id, size, sha256, expiresAt } = await storeUpload(services.outbox, request.body, { signal });
  const upload: UploadAnswer = { id, size, sha256, expiresAt: new Date(expiresAt).toISOString() };
  return { status: 201, jsonBody: upload };
}
