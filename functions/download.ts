import type { Readable } from 'node:stream';
import type { HttpResponseInit } from '@azure/functions';

/** RFC 6266 with RFC 8187: any name, quoted so that none can leave its header. */
function disposition(name: string): string {
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename*=UTF-8''${encoded}`;
}

/** Bytes for saving, never for showing: what a stranger sent must not run as a page of this origin. */
export function download(stream: Readable, size: number, contentType: string, name: string): HttpResponseInit {
  return {
    body: stream,
    headers: {
      'Content-Type': contentType,
      'Content-Length': String(size),
      'Content-Disposition': disposition(name),
      'Content-Security-Policy': 'sandbox',
      'X-Content-Type-Options': 'nosniff',
    },
  };
}
