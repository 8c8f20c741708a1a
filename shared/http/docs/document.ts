import { packageFile } from '../package-file.ts';

/** `GET /openapi.json`: the document, which the build makes of the schemas that validate. */
export const handle = packageFile({ name: 'openapi.json', contentType: 'application/json', freshFor: 0 });
