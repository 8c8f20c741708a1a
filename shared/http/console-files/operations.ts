import { bytes, type Operation } from '../openapi/operation.ts';

/** The web console: its page, and the files that this is made of. */
export const consoleOperations = {
  console: {
    route: 'GET /console',
    needs: 'nothing',
    summary: 'The web console',
    answers: { 302: { description: 'Its first screen.', headers: ['location'] } },
  },
  'console-file': {
    route: 'GET /console/{path}',
    needs: 'nothing',
    summary: 'A screen of the web console, or one of its files',
    description: 'The path may have slashes. Every path outside `files/` answers the same page.',
    headers: ['ifNoneMatch'],
    answers: {
      200: {
        description: 'The page, or the file.',
        content: {
          ...bytes('text/html', 'HTML.'),
          ...bytes('text/javascript', 'JavaScript.'),
          ...bytes('text/css', 'CSS.'),
          ...bytes('image/svg+xml', 'A picture.'),
        },
        headers: ['etag'],
      },
      304: { description: 'The caller has it.', headers: ['etag'] },
    },
    problems: [404],
  },
} as const satisfies Readonly<Record<string, Operation>>;
