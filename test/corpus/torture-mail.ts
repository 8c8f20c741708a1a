import type { FileHandle } from 'node:fs/promises';

/** What `npm run corpus` has to say of a mail, as far as it is known. */
export interface Expected {
  readonly outcome: 'imported' | 'quarantined';
  readonly subject?: string;
  /** Without white space at its end. */
  readonly text?: string;
  /** Of the first attachment. */
  readonly filename?: string;
  readonly attachments?: number;
  readonly defect?: string;
}

/** One mail of the torture set. */
export interface TortureMail {
  readonly name: string;
  readonly expected: Expected;
  /** Writes its bytes, piece by piece where there are many. */
  write(file: FileHandle): Promise<void>;
}

/** Lines of a mail, text or bytes, below the fields that every mail has. `subject: false`: the lines have a Subject themselves. */
export function mail(
  name: string,
  lines: readonly (string | Buffer)[],
  expected: Expected,
  { subject = true }: { readonly subject?: boolean } = {},
): TortureMail {
  const head = [
    'From: Ann <ann@example.com>',
    'To: bob@example.org',
    ...(subject ? [`Subject: ${name}`] : []),
    `Message-ID: <${name.replace(/[^\w-]/g, '_')}@example.com>`,
    'Date: Thu, 01 Jan 2026 10:00:00 +0000',
    'MIME-Version: 1.0',
  ];
  const bytes = [...head, ...lines].map((line) => (typeof line === 'string' ? Buffer.from(line) : line));
  return bytesMail(name, Buffer.concat(bytes.flatMap((line, n) => (n === 0 ? [line] : [crlf, line]))), expected);
}

const crlf = Buffer.from('\r\n');

/** A mail that is just these bytes. */
export function bytesMail(name: string, bytes: Buffer | string, expected: Expected): TortureMail {
  return {
    name,
    expected,
    write: async (file) => {
      await file.writeFile(bytes);
    },
  };
}

/** A mail too large to be made at once: `piece`, so many times, between a head and a tail. */
export function largeMail(
  name: string,
  parts: { readonly head: string; readonly piece: string; readonly bytes: number; readonly tail?: string },
  expected: Expected,
): TortureMail {
  const { head, piece, bytes, tail = '' } = parts;
  const block = piece.repeat(Math.ceil(1_048_576 / piece.length));
  return {
    name,
    expected,
    write: async (file) => {
      await file.write(head);
      for (let left = bytes - head.length - tail.length; left > 0; left -= block.length) {
        await file.write(block.slice(0, left));
      }
      await file.write(tail);
    },
  };
}
