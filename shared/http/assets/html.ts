import { createHash } from 'node:crypto';
import { z } from 'zod';
import { htmlPage } from '../../assets/html-page.ts';
import type { Answer, Call } from '../call.ts';
import { isNotModified } from '../conditional.ts';
import { parseQuery } from '../query.ts';

/** Bytes of a body that are shown. Sanitising takes at most some seconds for as many, whatever they are. */
const maxBodyBytes = 1024 * 1024;

/** Parameters of the page. */
export const htmlQuery = z.object({ remote: z.enum(['true', 'false'], { error: 'must be true or false' }).optional() });

/**
 * `GET /assets/{id}/html`: the body as a page, sanitised. Images from elsewhere are left out unless `?remote=true`. The
 * page runs in a sandbox without scripts and without this origin; links open in windows of their own.
 */
export async function handle({ request, param, services, signal }: Call): Promise<Answer> {
  const { remote } = parseQuery(htmlQuery, request.query);
  const { assets } = services;
  const asset = await assets.get(param('id'), { signal });
  const html = await assets.body(asset, 'html', maxBodyBytes, { signal });
  const text = html ? undefined : await assets.body(asset, 'text', maxBodyBytes, { signal });
  const page = htmlPage(asset, { html, text }, { remote: remote === 'true' });
  const etag = `"${createHash('sha256').update(page.html).digest('hex')}"`;
  const headers = {
    ETag: etag,
    'Cache-Control': 'private, no-cache',
    'Content-Security-Policy': `${page.policy}; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox`,
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Remote-Content': page.remoteContent,
  };
  if (isNotModified(request.headers, etag)) return { status: 304, headers };
  return {
    headers: { ...headers, 'Content-Type': 'text/html; charset=utf-8', 'Content-Disposition': 'inline' },
    body: page.html,
  };
}
