import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { licensesOf } from '../../notices.ts';

/**
 * `npm run check:dependencies`: the licences of what is deployed, and what `npm audit` knows of it. Fails on a licence
 * that is not allowed and on a vulnerability of high or critical severity; a registry that answers no audits is said.
 */

/** Licences that ask for no more than their text, which NOTICE holds. */
const allowed = /^(?:MIT|MIT-0|ISC|BSD-2-Clause|BSD-3-Clause|0BSD|Apache-2\.0|BlueOak-1\.0\.0|Unlicense|CC0-1\.0)$/;

/** Whether an SPDX expression lets us choose, of alternatives, an allowed one. */
export function isAllowed(license: string): boolean {
  return license
    .replace(/[()]/g, '')
    .split(' OR ')
    .some((each) => each.split(' AND ').every((one) => allowed.test(one.trim())));
}

const lockSchema = z.object({
  packages: z.record(z.string(), z.object({ dev: z.boolean().optional(), optional: z.boolean().optional() })),
});
const auditSchema = z.object({
  vulnerabilities: z.record(z.string(), z.object({ severity: z.string() })),
});

/** Names of packages with a vulnerability that is high or critical; undefined where the answer is no audit. */
export function badlyVulnerable(answer: string): readonly string[] | undefined {
  try {
    const { vulnerabilities } = auditSchema.parse(JSON.parse(answer));
    return Object.entries(vulnerabilities)
      .filter(([, { severity }]) => severity === 'high' || severity === 'critical')
      .map(([name, { severity }]) => `${name} (${severity})`);
  } catch {
    return undefined;
  }
}

async function main(root: string): Promise<boolean> {
  const lock = lockSchema.parse(JSON.parse(await readFile(`${root}package-lock.json`, 'utf8')));
  const deployed = Object.entries(lock.packages).filter(
    ([path, { dev, optional }]) => path !== '' && !dev && !optional,
  );
  const packages = await licensesOf(
    root,
    deployed.map(([path]) => path),
  );
  const counts = new Map<string, number>();
  for (const { license } of packages) counts.set(license, (counts.get(license) ?? 0) + 1);
  console.log(`Licences: ${[...counts].map(([license, count]) => `${license} ${count}`).join(', ')}.`);
  const refused = packages.filter(({ license }) => !isAllowed(license));
  for (const { name, license } of refused) console.error(`${name}: the licence ${license} is not among those allowed.`);

  const audit = spawn('npm', ['audit', '--omit=dev', '--json'], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
  const bad = badlyVulnerable(await text(audit.stdout));
  if (bad === undefined) console.warn('npm audit: did not run, since the registry here answers no audits.');
  else if (bad.length === 0) console.log('npm audit: nothing high or critical in what is deployed.');
  else console.error(`npm audit: ${bad.join(', ')}.`);
  return refused.length === 0 && (bad ?? []).length === 0;
}

if (import.meta.main) {
  process.exitCode = (await main(fileURLToPath(new URL('../../', import.meta.url)))) ? 0 : 1;
}
