import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import { type Asset, assetPaths } from '../../shared/assets/asset.ts';
import { readDescription } from '../../shared/assets/summary.ts';
import { checkIn } from '../../shared/inbox/importing/check-in.ts';
import { isOwnTrouble } from '../../shared/inbox/importing/trouble.ts';

/** The account that the assets are made for. */
const account = 'corpus';

/** The default of an account's `maxMessageSize`: of a larger mail only the header is imported. */
const maxMessageSize = 150 * 1024 * 1024;

/** Longest header that is looked for in an oversize mail. */
const maxHeader = 1024 * 1024;

/** A mail up to this size is checked in from memory, a larger one as a stream: as the IMAP store does. */
const wholeBytes = 256 * 1024;

/** Longest check-in of one mail, in ms: the time of a run. */
const checkInMs = 240_000;

/** Characters of the text that a line shows. */
const shownText = 200;

/** What became of one file. The members are in the order in which they are printed. */
export interface CorpusLine {
  /** Relative to the folder. */
  readonly file: string;
  /** `quarantined`: an import would give the mail up, for `reason`. */
  readonly outcome: 'imported' | 'quarantined';
  readonly reason?: string;
  /** The stored `message.eml` is the file, byte for byte; of an oversize mail only its header is stored. */
  readonly bytesEqual: boolean;
  readonly subject: Asset['subject'];
  readonly from: Asset['from'];
  readonly to: Asset['to'];
  readonly date: Asset['date'];
  readonly messageId: Asset['messageId'];
  /** The first 200 characters. */
  readonly text: string | null;
  readonly html: boolean;
  readonly attachments: readonly Pick<Asset['attachments'][number], 'filename' | 'contentType' | 'size' | 'sha256'>[];
  readonly flags: Asset['flags'] | null;
  readonly bounce: Asset['bounce'];
  readonly defects: readonly string[];
  /** Time of the check-in. */
  readonly ms: number;
}

/** Files that are no mails: hidden ones, and what collections say about themselves. */
const noMail = /^(?:\..*|(?:readme|licen[cs]e|copying)(?:\..*)?)$/i;

/** The mails of a folder and the folders in it, by name. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && !noMail.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/**
 * Checks in every mail of a folder, one after the other, by the check-in of an import, and reads back what is stored.
 * Throws errors of the folder and of the storage.
 */
export async function* checkInFolder(folder: string, container: ContainerClient): AsyncGenerator<CorpusLine> {
  for (const path of await filesOf(folder)) {
    const file = path.slice(folder.length).replace(/^[/\\]+/, '');
    yield await checkInFile(path, file, container);
  }
}

async function checkInFile(path: string, file: string, container: ContainerClient): Promise<CorpusLine> {
  const { size, mtimeMs } = await stat(path);
  const oversize = size > maxMessageSize;
  const mail = {
    source: { store: 'corpus', scope: '', item: file },
    folder: 'corpus',
    size,
    receivedAt: Math.trunc(mtimeMs),
  };
  const content = await contentOf(path, size, oversize);
  const began = performance.now();
  try {
    const { localId } = await checkIn({ container, account }, mail, content, {
      signal: AbortSignal.timeout(checkInMs),
      importedAt: Date.now(),
      oversize,
      maxBytes: maxMessageSize,
      alone: true,
      // Nobody else writes to this storage.
      mayReplace: async () => undefined,
      bounces: { find: async () => undefined },
    });
    const ms = Math.round(performance.now() - began);
    return { ...(await readBack(container, `${account}.${localId}`, path, file)), ms };
  } catch (error) {
    if (!isOwnTrouble(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    return { ...nothing, file, outcome: 'quarantined', reason, ms: Math.round(performance.now() - began) };
  }
}

const nothing = {
  bytesEqual: false,
  subject: null,
  from: [],
  to: [],
  date: null,
  messageId: null,
  text: null,
  html: false,
  attachments: [],
  flags: null,
  bounce: null,
  defects: [],
};

async function contentOf(path: string, size: number, oversize: boolean): Promise<Buffer | Readable> {
  if (oversize) return await headerOf(path);
  return size <= wholeBytes ? await readFile(path) : createReadStream(path);
}

/** The header of a mail, with its empty line: what servers give where only that is asked for. */
async function headerOf(path: string): Promise<Buffer> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxHeader), 0, maxHeader, 0);
    const head = buffer.subarray(0, bytesRead);
    const end = /\r?\n\r?\n/.exec(head.toString('latin1'));
    return end ? head.subarray(0, end.index + end[0].length) : head;
  } finally {
    await handle.close();
  }
}

async function readBack(
  container: ContainerClient,
  id: string,
  path: string,
  file: string,
): Promise<Omit<CorpusLine, 'ms'>> {
  const paths = assetPaths(account, id);
  const description = await container.getBlobClient(paths.description).downloadToBuffer();
  const asset = readDescription(description);
  const stored = await container.getBlobClient(paths.message).download();
  if (!stored.readableStreamBody) throw new Error('The storage gave no body.');
  const [storedHash, fileHash] = [await hashOf(stored.readableStreamBody), await hashOf(createReadStream(path))];
  return {
    file,
    outcome: 'imported',
    bytesEqual: storedHash === fileHash && asset.sha256 === fileHash,
    subject: asset.subject,
    from: asset.from,
    to: asset.to,
    date: asset.date,
    messageId: asset.messageId,
    text: asset.text === null ? null : [...asset.text.slice(0, 2 * shownText)].slice(0, shownText).join(''),
    html: asset.html !== null,
    attachments: asset.attachments.map(({ filename, contentType, size, sha256 }) => ({
      filename,
      contentType,
      size,
      sha256,
    })),
    flags: asset.flags,
    bounce: asset.bounce,
    defects: asset.defects,
  };
}

async function hashOf(content: NodeJS.ReadableStream): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('hex');
}

/** The last line: what became of all of them. */
export interface CorpusSummary {
  readonly summary: {
    readonly files: number;
    readonly imported: number;
    readonly quarantined: number;
    /** Of the imported: those of which only the header is stored. */
    readonly oversize: number;
    /** Mails whose stored bytes are not those of the file, and which are not oversize. */
    readonly bytesDiffer: number;
    /** How many mails have each defect. */
    readonly defects: Readonly<Record<string, number>>;
    readonly ms: number;
    /** Most memory that the process had, in MB. */
    readonly peakMegabytes: number;
  };
}

/** Counts lines as they come. */
export class CorpusCount {
  #files = 0;
  #imported = 0;
  #oversize = 0;
  #bytesDiffer = 0;
  #ms = 0;
  readonly #defects = new Map<string, number>();

  add({ outcome, bytesEqual, flags, defects, ms }: CorpusLine): void {
    this.#files += 1;
    if (outcome === 'imported') this.#imported += 1;
    if (flags?.oversize) this.#oversize += 1;
    else if (outcome === 'imported' && !bytesEqual) this.#bytesDiffer += 1;
    this.#ms += ms;
    for (const defect of defects) this.#defects.set(defect, (this.#defects.get(defect) ?? 0) + 1);
  }

  get summary(): CorpusSummary {
    return {
      summary: {
        files: this.#files,
        imported: this.#imported,
        quarantined: this.#files - this.#imported,
        oversize: this.#oversize,
        bytesDiffer: this.#bytesDiffer,
        defects: Object.fromEntries([...this.#defects].sort(([a], [b]) => (a < b ? -1 : 1))),
        ms: this.#ms,
        peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
      },
    };
  }
}
