import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Part of `npm run check`: every function and class that a file of the product exports says what it does. */

/** An exported function, class, or constant that is a function; read line by line, as the formatter leaves them. */
const declaration =
  /^export (?:async )?(?:function\*?|(?:abstract )?class|const(?= \w+(?:: \w+)? = (?:async )?[(<])) (\w+)/;

/** Names of the exported functions and classes of a TypeScript text that have no doc comment right above them. */
export function undocumented(code: string): readonly string[] {
  let previous = '';
  const names: string[] = [];
  for (const line of code.split('\n')) {
    const name = declaration.exec(line)?.[1];
    if (name !== undefined && !previous.endsWith('*/')) names.push(name);
    // A note to the linter stands between the two.
    if (!line.startsWith('// biome-ignore ')) previous = line;
  }
  return names;
}

function check(root: string): number {
  const files = globSync(['shared/**/*.ts', 'functions/**/*.ts', 'console/**/*.{ts,tsx}'], { cwd: root });
  const product = files.filter((file) => !/\.(?:test|test-support|probe|d)\.ts$/.test(file));
  const missing = product.sort().flatMap((file) => {
    const names = undocumented(readFileSync(`${root}/${file}`, 'utf8'));
    return names.map((name) => `${file}: ${name} has no doc comment`);
  });
  for (const line of missing) console.error(line);
  return missing.length;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = check(fileURLToPath(new URL('../..', import.meta.url))) === 0 ? 0 : 1;
}
