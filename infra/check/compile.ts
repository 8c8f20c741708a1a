import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readArmTemplate } from './read/arm-reader.ts';
import { InfraError, type Program } from './read/program.ts';

const run = promisify(execFile);

const project = fileURLToPath(new URL('../compile/bicep.proj', import.meta.url));

/** The first time the compiler has to be fetched. */
const limitMs = 300_000;

/** The compiler comes with NuGet; without the .NET SDK it cannot be had. */
export async function hasDotnet(): Promise<boolean> {
  try {
    const { stdout } = await run('dotnet', ['--version'], { timeout: 30_000 });
    return Number(stdout.split('.')[0]) >= 8;
  } catch {
    return false;
  }
}

export interface CompileOptions {
  /** Folder of the Bicep files; default: infra/. */
  readonly source?: string;
  /** Which of them; default: every one. */
  readonly pattern?: string;
  /** Folder that the ARM templates go to, in the same folders below. */
  readonly output: string;
}

/** Compiles and lints every Bicep file. Throws InfraError with the compiler's messages, of which one warning is enough. */
export async function compile({ source, pattern, output }: CompileOptions): Promise<void> {
  const args = ['build', project, '--nologo', '-v:quiet', '-tl:off', `-p:OutputFolder=${output}`];
  if (source !== undefined) args.push(`-p:SourceFolder=${source}`);
  if (pattern !== undefined) args.push(`-p:Pattern=${pattern}`);
  try {
    await run('dotnet', args, { timeout: limitMs, maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    throw new InfraError(messages(said) || String(error));
  }
}

/** What main.bicep became. */
export async function readCompiled(output: string): Promise<Program> {
  return readArmTemplate(JSON.parse(await readFile(join(output, 'main.json'), 'utf8')), 'main');
}

/** Each message once, without MSBuild's summary. */
function messages(output: string): string {
  const lines = output.split('\n').filter((line) => /\b(error|warning) \S+:/i.test(line));
  return [...new Set(lines.map((line) => line.trim().replace(/ \[[^\]]*bicep\.proj\]$/, '')))].join('\n');
}
