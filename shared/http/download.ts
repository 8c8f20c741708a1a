import type { Readable } from 'node:stream';
import type { Content } from '../assets/asset-blobs.ts';
import { isNotModified } from './conditional.ts';
import { HttpProblem } from './problem.ts';
import { readRange } from './range.ts';

/** What an Azure Functions handler may return as it is. */
interface DownloadResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Readable;
}

/** Bytes that can be read, whole or in part; what names them is their SHA-256, or else their version. */
type Downloadable = Pick<Content, 'size' | 'open'> & ({ readonly sha256: string } | { readonly version: string });

interface Download {
  readonly contentType: string;
  /** For the file on the caller's side. */
  readonly name: string;
}

/** RFC 6266 with RFC 8187: any name, quoted so that none can leave its header. */
function disposition(name: string): string {
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename*=UTF-8''${encoded}`;
}

/**
 * Bytes for saving, never for showing: what a stranger sent must not run as a page of this origin. Answers Range (206,
 * 416) and If-None-Match (304); the tag names the bytes, which never change. Throws HttpProblem 416.
 */
export async function download(
  headers: { get(name: string): string | null },
  content: Downloadable,
  { contentType, name }: Download,
): Promise<DownloadResponse> {
  const { size } = content;
  const etag = `"${'sha256' in content ? content.sha256 : content.version}"`;
  if (isNotModified(headers, etag)) return { status: 304, headers: { ETag: etag } };
  const range = readRange(headers, size, etag);
  if (range.kind === 'outside')
    throw new HttpProblem(416, `There are ${size} bytes.`, { headers: { 'Content-Range': `bytes */${size}` } });
  const [from, to] = range.kind === 'part' ? [range.from, range.to] : [0, size - 1];
  return {
    status: range.kind === 'part' ? 206 : 200,
    body: await content.open(from, to - from + 1),
    headers: {
      'Content-Type': contentType,
      'Content-Length': String(to - from + 1),
      'Content-Disposition': disposition(name),
      'Content-Security-Policy': 'sandbox',
      'X-Content-Type-Options': 'nosniff',
      'Accept-Ranges': 'bytes',
      ETag: etag,
      ...(range.kind === 'part' ? { 'Content-Range': `bytes ${from}-${to}/${size}` } : {}),
    },
  };
}
