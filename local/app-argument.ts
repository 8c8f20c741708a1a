import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * The folder that `--app` names: an app that is built already, such as an unpacked package, in place of this project.
 * Throws for any other argument.
 */
export function appArgument(args: readonly string[]): string | undefined {
  const { values } = parseArgs({ args: [...args], options: { app: { type: 'string' } } });
  return values.app === undefined ? undefined : resolve(values.app);
}
