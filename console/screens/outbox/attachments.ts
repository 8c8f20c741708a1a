import { signal } from '@preact/signals';
import type { Problem } from '../../api/problem.ts';
import { upload } from '../../api/upload.ts';

/** A file that somebody attaches. It is uploaded as soon as it is chosen. */
export interface Attached {
  readonly id: number;
  readonly file: File;
  /** Bytes that have left. */
  readonly sent: number;
  /** By which the mail names it; absent: it is not there yet. */
  readonly upload?: string;
  readonly problem?: Problem;
}

/** Kept while somebody looks at another screen. */
export const attached = signal<readonly Attached[]>([]);

const running = new Map<number, AbortController>();
let last = 0;

/** Files may be as large together as a mail (HTTP: 413). */
export const maxBytes = 150 * 1024 * 1024;

/** Uploads files, one after the other where there are many: each has the line to itself. */
export async function attach(files: readonly File[]): Promise<void> {
  const added = files.map((file): Attached => {
    last += 1;
    return { id: last, file, sent: 0 };
  });
  attached.value = [...attached.value, ...added];
  for (const { id } of added) await send(id);
}

/** Uploads a file, or uploads it again. */
export async function send(id: number): Promise<void> {
  const found = attached.value.find((one) => one.id === id);
  if (!found) return;
  const controller = new AbortController();
  running.set(id, controller);
  change(id, { id, file: found.file, sent: 0 });
  const answer = await upload(found.file, {
    signal: controller.signal,
    onProgress: (sent) => change(id, { id, file: found.file, sent }),
  });
  running.delete(id);
  const sent = found.file.size;
  change(
    id,
    answer.ok
      ? { id, file: found.file, sent, upload: answer.data.id }
      : { id, file: found.file, sent: 0, problem: answer.problem },
  );
}

/** Takes a file out of the mail, and gives its upload up. */
export function detach(id: number): void {
  running.get(id)?.abort();
  attached.value = attached.value.filter((one) => one.id !== id);
}

/** Takes every file out of the mail. */
export function detachAll(): void {
  for (const { id } of attached.value) detach(id);
}

function change(id: number, next: Attached): void {
  attached.value = attached.value.map((one) => (one.id === id ? next : one));
}

/** The type that the browser gives a file; undefined where an attachment cannot have it (RFC 2046 section 5.2). */
export function typeOf({ type }: File): string | undefined {
  return /^(?!message\/|multipart\/)[\w.+-]+\/[\w.+-]+$/i.test(type) ? type : undefined;
}
