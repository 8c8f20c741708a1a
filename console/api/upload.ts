import { noteLost, noteStatus } from './connection.ts';
import type { paths } from './openapi.d.ts';
import { noteAnswer } from './permissions.ts';
import { noAnswer, type Outcome, problemOf } from './problem.ts';
import { currentKey } from './session.ts';

export type Upload = paths['/uploads']['post']['responses'][201]['content']['application/json'];

export interface UploadOptions {
  /** Told the bytes that have left so far. */
  readonly onProgress: (sent: number) => void;
  readonly signal: AbortSignal;
}

/** Uploads a file for the attachment of a mail. Never throws. `fetch` does not tell how much has left, so it is not used. */
export function upload(file: File, { onProgress, signal }: UploadOptions): Promise<Outcome<Upload>> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open('POST', '/api/uploads');
    const key = currentKey();
    if (key !== undefined) request.setRequestHeader('x-functions-key', key);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.onprogress = ({ loaded }) => onProgress(loaded);
    request.onload = () => {
      noteStatus(request.status, request.getResponseHeader('content-type'));
      noteAnswer('POST /uploads', request.status, key ?? null);
      const body = bodyOf(request.responseText);
      if (request.status !== 201) return resolve({ ok: false, problem: problemOf(request.status, body) });
      return resolve({ ok: true, data: body as Upload, response: new Response(null, { status: 201 }) });
    };
    request.onerror = () => {
      noteLost();
      resolve({ ok: false, problem: noAnswer });
    };
    request.onabort = () => resolve({ ok: false, problem: { ...noAnswer, text: 'It was given up.' } });
    signal.addEventListener('abort', () => request.abort(), { once: true });
    request.send(file);
  });
}

function bodyOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
