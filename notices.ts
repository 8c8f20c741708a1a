import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: z.union([z.string(), z.object({ type: z.string() }).transform(({ type }) => type)]).optional(),
});

export interface Licensed {
  readonly name: string;
  readonly version: string;
  /** SPDX expression, as the package says it. */
  readonly license: string;
  /** The text it ships, if any. */
  readonly text: string | undefined;
}

const licenseFile = /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i;

/** Licence and licence text of the packages in these folders (`node_modules/…`), by name. */
export async function licensesOf(root: string, folders: Iterable<string>): Promise<readonly Licensed[]> {
  const all = await Promise.all(
    [...new Set(folders)].sort().map(async (folder): Promise<Licensed> => {
      const directory = join(root, folder);
      const manifest = manifestSchema.parse(JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')));
      const files = (await readdir(directory)).filter((name) => licenseFile.test(name)).sort();
      const texts = await Promise.all(files.map((name) => readFile(join(directory, name), 'utf8')));
      const text = texts.map((each) => each.replaceAll('\r\n', '\n').trim()).join('\n\n');
      const { name, version, license = 'not given' } = manifest;
      return { name, version, license, text: text === '' ? undefined : text };
    }),
  );
  return all.sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
}

/** The NOTICE file of a bundle: every package in it with its licence, each text once. */
export function noticeText(packages: readonly Licensed[]): string {
  const byText = new Map<string, Licensed[]>();
  for (const each of packages) {
    const text = each.text ?? `Licence: ${each.license}. The package ships no text of it.`;
    byText.set(text, [...(byText.get(text) ?? []), each]);
  }
  const parts = [...byText].map(
    ([text, of]) =>
      `${of.map(({ name, version, license }) => `${name} ${version} (${license})`).join('\n')}\n\n${text}`,
  );
  const line = `\n\n${'-'.repeat(72)}\n\n`;
  return `Mailroom is made of the packages below, among others.${line}${parts.join(line)}\n`;
}
