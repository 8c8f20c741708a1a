import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { parseJsonWithComments } from './json-with-comments.ts';
import { messageOf } from './log.ts';

const FILE = 'local.settings.json';

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const schema = z.looseObject({
  IsEncrypted: z.boolean().default(true),
  Values: z.record(z.string(), scalar.nullable()).default({}),
  ConnectionStrings: z.record(z.string(), z.unknown()).default({}),
  Host: z
    .looseObject({
      LocalHttpPort: z.coerce.number().int().min(0).max(65_535).optional(),
      LocalHttpAddress: z.string().optional(),
      CORS: z.string().optional(),
      CORSCredentials: z.boolean().optional(),
    })
    .default({}),
});

/** What the file says about the host itself. */
export interface LocalSettings {
  readonly port?: number | undefined;
  readonly address?: string | undefined;
  /** Origins of pages that may call, separated by commas. */
  readonly corsOrigins?: string | undefined;
  readonly corsCredentials?: boolean | undefined;
}

/**
 * Reads local.settings.json, if there is one, and puts its `Values` into `env` where they are not set: the real
 * environment wins. As in Core Tools, a missing `IsEncrypted` counts as true, and this host cannot decrypt.
 *
 * @throws one clear line; values are never quoted.
 */
export async function applyLocalSettings(appDir: string, env: NodeJS.ProcessEnv): Promise<LocalSettings> {
  const file = path.join(appDir, FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return {};
  }
  const settings = parse(text);
  if (settings.IsEncrypted) {
    throw new Error(`${FILE} is encrypted, or lacks "IsEncrypted": false (missing means true); it cannot be read`);
  }
  for (const [name, value] of Object.entries(settings.Values)) {
    if (value !== null && env[name] === undefined) env[name] = String(value);
  }
  return {
    port: settings.Host.LocalHttpPort,
    address: settings.Host.LocalHttpAddress,
    corsOrigins: settings.Host.CORS,
    corsCredentials: settings.Host.CORSCredentials,
  };
}

function parse(text: string): z.infer<typeof schema> {
  let json: unknown;
  try {
    json = parseJsonWithComments(text);
  } catch {
    // The parser's own message quotes the text, and this file holds secrets.
    throw new Error(`${FILE} is not JSON`);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const where = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${messageOf(issue.message)}`);
    throw new Error(`${FILE}: ${where.join('; ')}`);
  }
  return parsed.data;
}
