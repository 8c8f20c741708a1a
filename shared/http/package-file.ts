import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Answer, CallRequest, Handler, OpenCall } from './call.ts';
import { isNotModified } from './conditional.ts';
import { listMembers } from './header-list.ts';
import { refuseParameters } from './query.ts';

const unpacked = promisify(gunzip);

/** A file that the build puts beside the bundle, packed with gzip. */
export interface PackageFile {
  /** Without `.gz`. */
  readonly name: string;
  readonly contentType: string;
  /** Seconds for which a browser need not ask again; `ever`: the name says which version it is. */
  readonly freshFor: number | 'ever';
  /** Headers beside those of every file. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a file of the package to everybody, on a route without parameters. */
export function packageFile(file: PackageFile): Handler<OpenCall> {
  return async ({ request }) => {
    refuseParameters(request.query);
    return await packageFileAnswer(request, file);
  };
}

/** A file of the package: packed where the caller takes gzip, 304 where it has it. Throws where there is none (ENOENT). */
export async function packageFileAnswer(
  request: Pick<CallRequest, 'headers'>,
  { name, contentType, freshFor, headers: own }: PackageFile,
): Promise<Answer> {
  const packed = await readFile(new URL(`./${name}.gz`, import.meta.url));
  // Weak: the same for both forms.
  const etag = `W/"${createHash('sha256').update(packed).digest('hex').slice(0, 32)}"`;
  const headers = { ETag: etag, 'Cache-Control': cacheControl(freshFor), Vary: 'Accept-Encoding', ...own };
  if (isNotModified(request.headers, etag)) return { status: 304, headers };
  const takesGzip = acceptsGzip(request.headers.get('accept-encoding'));
  const bytes = takesGzip ? packed : await unpacked(packed);
  return {
    headers: {
      ...headers,
      'Content-Type': contentType,
      'Content-Length': String(bytes.length),
      'X-Content-Type-Options': 'nosniff',
      ...(takesGzip ? { 'Content-Encoding': 'gzip' } : {}),
    },
    body: Readable.from([bytes]),
  };
}

/** RFC 9111 section 5.2.2, and `immutable` by RFC 8246. */
function cacheControl(freshFor: PackageFile['freshFor']): string {
  if (freshFor === 'ever') return 'public, max-age=31536000, immutable';
  return freshFor === 0 ? 'no-cache' : `public, max-age=${freshFor}`;
}

/** Whether `Accept-Encoding` names gzip without refusing it (RFC 9110 section 12.5.3). */
function acceptsGzip(header: string | null): boolean {
  return (listMembers(header ?? '') ?? []).some((member) => /^gzip\s*(?:;\s*q=(?!0(?:\.0*)?$)|$)/i.test(member));
}
