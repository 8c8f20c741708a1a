import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { build } from '../build.ts';
import { bundled, compiledOnce } from '../local/bundled.ts';
import { onNpmGone } from '../local/npm-parent.ts';

/**
 * `npm test [--soak] [filters]`: provides the servers and the browser that the suites use, builds the app, and runs vitest.
 * `--soak` runs the full counts of seeds, kills and cases. Everything else goes to vitest as it is.
 */

interface SystemPackage {
  /** On Debian. */
  readonly name: string;
  /** What the suites start. */
  readonly files: readonly string[];
  readonly suites: string;
}

const packages: readonly SystemPackage[] = [
  {
    name: 'dovecot-imapd',
    files: ['/usr/lib/dovecot/imap', '/usr/libexec/dovecot/imap', '/usr/local/libexec/dovecot/imap'],
    suites: 'IMAP against Dovecot',
  },
  {
    name: 'dovecot-pop3d',
    files: ['/usr/lib/dovecot/pop3', '/usr/libexec/dovecot/pop3', '/usr/local/libexec/dovecot/pop3'],
    suites: 'POP3 against Dovecot',
  },
  {
    name: 'dovecot-lmtpd',
    files: ['/usr/lib/dovecot/lmtp', '/usr/libexec/dovecot/lmtp', '/usr/local/libexec/dovecot/lmtp'],
    suites: 'the round trip through OpenSMTPD and Dovecot',
  },
  {
    name: 'opensmtpd',
    files: ['/usr/sbin/smtpd', '/usr/local/sbin/smtpd'],
    suites: 'SMTP against OpenSMTPD',
  },
  {
    name: 'chromium',
    files: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
    suites: 'pages in a browser',
  },
];

const missing = () => packages.filter(({ files }) => !files.some((file) => existsSync(file)));

/** Installs what is missing where that can be done without asking anybody; says what is still missing. */
function provide(): boolean {
  if (missing().length > 0 && isDebianRoot()) install(missing().map(({ name }) => name));
  const left = missing();
  if (left.length === 0) return true;
  for (const { name, suites } of left) console.warn(`Skipped: ${suites}, since ${name} is not installed.`);
  if (process.env.CI !== 'true') {
    console.warn(
      `To run them too, install ${left.map(({ name }) => name).join(', ')} (as root on Debian this is automatic).`,
    );
    return true;
  }
  console.error('With CI=true nothing may be skipped.');
  return false;
}

function isDebianRoot(): boolean {
  if (process.getuid?.() !== 0 || !isExecutable('/usr/bin/apt-get')) return false;
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function install(names: readonly string[]): void {
  console.log(`Installing ${names.join(', ')} ...`);
  const attempt = () => apt('install', '--yes', '--no-install-recommends', ...names);
  // A fresh image has no package lists.
  if (attempt() || !apt('update')) return;
  attempt();
}

function apt(...args: readonly string[]): boolean {
  try {
    execFileSync('apt-get', ['-qq', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return true;
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    console.warn(`apt-get ${args[0]}: ${output.trim().split('\n').at(-1)}`);
    return false;
  }
}

async function runVitest(args: readonly string[], soak: boolean): Promise<number> {
  const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
  const child = spawn(process.execPath, [vitest, 'run', ...args], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: {
      ...process.env,
      // Some 300 processes load the same files: each but the first finds them compiled.
      ...compiledOnce(),
      ...(soak ? { SOAK: '1' } : {}),
    },
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  onNpmGone(() => child.kill('SIGTERM'));
  const [code, signal]: unknown[] = await once(child, 'exit');
  if (typeof code === 'number') return code;
  // As a shell says it.
  return 128 + (Object.entries(osConstants.signals).find(([name]) => name === signal)?.[1] ?? 0);
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  if (!provide()) return 1;
  const names = await build();
  console.log(`Built dist/main.cjs with ${names.length} functions`);
  // Once, instead of by each of the suites that start first.
  for (const program of ['../local/host/main.ts', '../local/azurite-process.ts'])
    await bundled(fileURLToPath(new URL(program, import.meta.url)));
  return runVitest(
    args.filter((arg) => arg !== '--soak'),
    args.includes('--soak'),
  );
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
