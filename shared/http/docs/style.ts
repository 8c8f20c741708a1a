import { packageFile } from '../package-file.ts';

/** `GET /docs/page.css`. */
export const handle = packageFile({ name: 'docs.css', contentType: 'text/css; charset=utf-8', freshFor: 3600 });
