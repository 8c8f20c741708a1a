import { z } from 'zod';
import { bytes, type Operation } from '../openapi/operation.ts';

const unchanged = { 304: { description: 'The caller has it.', headers: ['etag'] } } as const;

/** What describes the service. */
export const docsOperations = {
  openapi: {
    route: 'GET /openapi.json',
    needs: 'nothing',
    summary: 'This description, as OpenAPI 3.1',
    headers: ['ifNoneMatch'],
    answers: {
      200: {
        description: 'The document.',
        content: { 'application/json': { schema: z.looseObject({ openapi: z.literal('3.1.1') }) } },
        headers: ['etag'],
      },
      ...unchanged,
    },
  },
  docs: {
    route: 'GET /docs',
    needs: 'nothing',
    summary: 'This description, as a page to read and try',
    headers: ['ifNoneMatch'],
    answers: {
      200: { description: 'The page.', content: bytes('text/html', 'HTML.'), headers: ['etag'] },
      ...unchanged,
    },
  },
  'docs-script': {
    route: 'GET /docs/page.js',
    needs: 'nothing',
    summary: 'The script of the page',
    headers: ['ifNoneMatch'],
    answers: {
      200: { description: 'The script.', content: bytes('text/javascript', 'JavaScript.'), headers: ['etag'] },
      ...unchanged,
    },
  },
  'docs-style': {
    route: 'GET /docs/page.css',
    needs: 'nothing',
    summary: 'The style of the page',
    headers: ['ifNoneMatch'],
    answers: {
      200: { description: 'The style.', content: bytes('text/css', 'CSS.'), headers: ['etag'] },
      ...unchanged,
    },
  },
} as const satisfies Readonly<Record<string, Operation>>;
