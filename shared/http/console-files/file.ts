import type { Answer, OpenCall } from '../call.ts';
import { packageFileAnswer } from '../package-file.ts';
import { HttpProblem } from '../problem.ts';

/** Content types of the files that the build makes, by the ends of their names. */
const contentTypes: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** A file of the build: it has its content's hash in its name. */
const filePath = /^files\/([\w-]{1,100}\.(\w{1,10}))$/;

const everyPage = {
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

/** Nothing from elsewhere and nothing inline. Pictures of mail are fetched with the key, and shown as blobs. */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "frame-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * The empty page that the console puts a mail into, in a sandboxed frame: no scripts, no forms, nothing to connect to.
 * A mail has its colours in `style` attributes. Pictures from elsewhere are loaded only where the reader has asked.
 */
const framePolicy = (pictures: string) =>
  [
    "default-src 'none'",
    `img-src data: blob:${pictures}`,
    "style-src-attr 'unsafe-inline'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
    'sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox',
  ].join('; ');

const frames: Readonly<Record<string, string>> = {
  frame: framePolicy(''),
  'frame-with-pictures': framePolicy(' https: http:'),
};

/**
 * `GET /console/{path}`: a file of the console, or its page. Every address of the console's own screens answers the same
 * page, which reads the address itself, query included.
 */
export async function handle({ request, param }: OpenCall): Promise<Answer> {
  const path = param('path');
  if (path.startsWith('files/')) return await builtFile(request, path);
  const frame = Object.hasOwn(frames, path) ? frames[path] : undefined;
  return await packageFileAnswer(request, {
    name: frame === undefined ? 'console.html' : 'console-frame.html',
    contentType: 'text/html; charset=utf-8',
    freshFor: 0,
    headers: { ...everyPage, 'Content-Security-Policy': frame ?? pagePolicy },
  });
}

async function builtFile(request: OpenCall['request'], path: string): Promise<Answer> {
  const [, name, ending = ''] = filePath.exec(path) ?? [];
  const contentType = Object.hasOwn(contentTypes, ending) ? contentTypes[ending] : undefined;
  try {
    if (name !== undefined && contentType !== undefined)
      return await packageFileAnswer(request, { name: `console-${name}`, contentType, freshFor: 'ever' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  throw new HttpProblem(
    404,
    'The console has no such file. Where it had one, a new version is there: load the page again.',
  );
}
