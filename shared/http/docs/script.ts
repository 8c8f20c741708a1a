import { packageFile } from '../package-file.ts';

/** `GET /docs/page.js`: Swagger UI, and the lines that start it. */
export const handle = packageFile({ name: 'docs.js', contentType: 'text/javascript; charset=utf-8', freshFor: 3600 });
