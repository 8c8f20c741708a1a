import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** PowerShell as a .NET tool: a package of NuGet that needs the .NET SDK 10. */
const version = '7.6.9';
const cache = fileURLToPath(new URL(`../../../node_modules/.cache/powershell-${version}`, import.meta.url));
const installMs = 240_000;

const runs = (command: string, ...args: readonly string[]) =>
  spawnSync(command, args, { timeout: installMs, stdio: 'ignore' }).status === 0;

/**
 * The command of PowerShell 7: one that is installed, or else one that the .NET SDK fetches once. Undefined, with a line
 * that says so, where neither is to be had.
 */
export function powershell(): string | undefined {
  const cached = `${cache}/pwsh`;
  for (const command of ['pwsh', ...(existsSync(cached) ? [cached] : [])]) {
    if (runs(command, '-NoProfile', '-Command', 'exit 0')) return command;
  }
  if (runs('dotnet', 'tool', 'install', '--tool-path', cache, '--version', version, 'powershell')) return cached;
  console.warn('Skipped: the PowerShell scripts, since there is neither pwsh nor a .NET SDK to fetch it with.');
  return undefined;
}
