import { createHash } from 'node:crypto';
import type { Answer, OpenCall } from '../call.ts';
import { isNotModified } from '../conditional.ts';
import { refuseParameters } from '../query.ts';

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mailroom: routes</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/api/docs/page.css">
<script src="/api/docs/page.js" defer></script>
</head>
<body><div id="docs"></div></body>
</html>
`;

const headers = {
  ETag: `"${createHash('sha256').update(html).digest('hex')}"`,
  'Cache-Control': 'no-cache',
  // Nothing from elsewhere, and nothing inline; Swagger UI has its pictures in its style as data.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** `GET /docs`: the document as a page to read and try. */
export async function handle({ request }: OpenCall): Promise<Answer> {
  refuseParameters(request.query);
  if (isNotModified(request.headers, headers.ETag)) return { status: 304, headers };
  return { headers: { ...headers, 'Content-Type': 'text/html; charset=utf-8' }, body: html };
}
