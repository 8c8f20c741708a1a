import { access } from 'node:fs/promises';
import { type Browser, chromium } from 'playwright-core';

/** Where Debian, Ubuntu and Google's own package put it. */
const programs = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Longest wait in ms for its start: seconds, on a busy machine more. */
const startMs = 90_000;

/** Why Chromium cannot run here, or undefined where it can. */
export async function chromiumMissing(): Promise<string | undefined> {
  return (await chromiumProgram()) === undefined ? 'the Debian package chromium is not installed' : undefined;
}

/**
 * Starts Chromium without a window, with a profile that is new and goes with it. `browser.newContext()` has cookies and
 * storage of its own; `browser.close()` ends it. It also ends with this process. `args`: more of Chromium's switches.
 */
export async function startBrowser({ args = [] }: { readonly args?: readonly string[] } = {}): Promise<Browser> {
  const executablePath = await chromiumProgram();
  if (executablePath === undefined) throw new Error('Chromium is not installed (apt-get install chromium)');
  return await chromium.launch({
    executablePath,
    timeout: startMs,
    // Chromium's own sandbox refuses to run as root.
    chromiumSandbox: process.getuid?.() !== 0,
    // Containers often have a /dev/shm of 64 MB.
    args: ['--disable-dev-shm-usage', ...args],
  });
}

async function chromiumProgram(): Promise<string | undefined> {
  for (const program of programs) {
    try {
      await access(program);
      return program;
    } catch {
      // Perhaps the next.
    }
  }
  return undefined;
}
