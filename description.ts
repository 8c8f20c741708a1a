import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync, strToU8 } from 'fflate';
import { z } from 'zod';

const root = fileURLToPath(new URL('.', import.meta.url));
const swaggerUi = 'node_modules/swagger-ui-dist';

/** Folders of packages whose files are among these. */
export const describedWith: readonly string[] = [swaggerUi];

/** Runs behind Swagger UI in one script: the page may have none of its own. */
const start = `SwaggerUIBundle({
  url: '/api/openapi.json',
  dom_id: '#docs',
  presets: [SwaggerUIBundle.presets.apis],
  layout: 'BaseLayout',
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  queryConfigEnabled: false,
  validatorUrl: null,
});
`;

/**
 * What `GET /openapi.json` and `GET /docs` answer, packed, by file name. The document is made here of the schemas that
 * validate, so that nothing is worked out when it is asked for. Throws where a route cannot be described.
 */
export async function descriptionFiles(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { openApiDocument } = await import('./shared/http/openapi/document.ts');
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const { version } = z.object({ version: z.string() }).parse(manifest);
  const file = (name: string) => readFile(join(root, swaggerUi, name), 'utf8');
  const [licences, script, style] = await Promise.all([
    file('swagger-ui-bundle.js.LICENSE.txt'),
    file('swagger-ui-bundle.js'),
    file('swagger-ui.css'),
  ]);
  return new Map([
    ['openapi.json.gz', packed(JSON.stringify(openApiDocument(version)))],
    ['docs.js.gz', packed(`${licences}\n${withoutMap(script)}\n${start}`)],
    ['docs.css.gz', packed(withoutMap(style))],
  ]);
}

/** The map is not in the package: a browser would ask for it in vain. */
const withoutMap = (text: string) => text.replace(/\n\/[/*]# sourceMappingURL=.*\s*$/, '\n');

/** As the zip: the same sources make the same bytes. */
const packed = (text: string) => gzipSync(strToU8(text), { level: 9, mtime: 0 });
