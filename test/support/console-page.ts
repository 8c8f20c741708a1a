import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { expect } from 'vitest';
import type { Mailroom } from './mailroom.ts';

/** Where pictures of screens go, to be looked at: outside of the repository. */
const pictures = process.env.CONSOLE_PICTURES ?? join(tmpdir(), 'mailroom-console');

/** Pictures that stand in docs/, by the screens that they are of; with CONSOLE_DOCS set they are made anew there. */
const documented: ReadonlyMap<string, string> = new Map([
  ['connect-wrong-password', 'console-connect'],
  ['import', 'console-import'],
  ['account-new', 'console-account'],
  ['message-waiting', 'console-message'],
]);

const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Runs in the page, as text: it is no part of the test's own program. */
const noteViolations = `document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
  noteStrange('policy: ' + violatedDirective + ' ' + blockedURI);
});`;
/** No script runs in the frame of a mail, axe's neither. */
const runAxe = `axe.run({ exclude: [['iframe']] }, {
  iframes: false,
  preload: false,
  resultTypes: ['violations'],
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
}).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
  nodes.map(({ html, failureSummary }) => id + ': ' + html.slice(0, 200) + ' ' + failureSummary)))`;

/** Longest wait for something to see: a busy machine takes its time. In ms. */
const waitMs = 30_000;

export interface ConsoleOptions {
  /** Put into the tab as if it had been entered before; null: none. Default: the test's host key. */
  readonly key?: string | null;
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
}

/** A tab with the console, and what it did that it should not. */
export interface ConsoleTab {
  readonly page: Page;
  /** Fails where the page broke its own policy, asked another origin, threw, or ran what a mail or a name brought. */
  checkCalm(): Promise<void>;
  close(): Promise<void>;
}

/** Opens an address of the console in a tab of its own. */
export async function openConsole(
  browser: Browser,
  service: Pick<Mailroom, 'url'>,
  path: string,
  { key = 'test-function-key', width = 1440, scheme = 'light' }: ConsoleOptions = {},
): Promise<ConsoleTab> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, locale: 'en-GB' });
  context.setDefaultTimeout(waitMs);
  const strange: string[] = [];
  await context.exposeFunction('noteStrange', (what: string) => strange.push(what));
  await context.addInitScript({ content: noteViolations });
  if (key !== null)
    await context.addInitScript({ content: `sessionStorage['mailroom.key'] ??= ${JSON.stringify(key)}` });
  const page = await context.newPage();
  page.on('pageerror', (error) => strange.push(`error: ${error.message}`));
  // Violations in frames without scripts are told here alone.
  page.on('console', (message) => {
    const text = message.text();
    if (/content security policy/i.test(text)) strange.push(`policy: ${text.slice(0, 300)}`);
  });
  page.on('dialog', (dialog) => {
    strange.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${service.url}/`) && !/^(?:data|blob|about):/.test(url)) strange.push(`asked: ${url}`);
    if (/[?&]code=/.test(url) || (key !== null && url.includes(key))) strange.push(`key in an address: ${url}`);
  });
  await page.goto(`${service.url}/api/console${path}`);
  return {
    page,
    checkCalm: async () => {
      await page.evaluate('new Promise((resolve) => setTimeout(resolve, 0))');
      expect(strange).toEqual([]);
    },
    close: () => context.close(),
  };
}

/** What axe-core finds wrong with a page by WCAG 2.2 A and AA, a line for each place. */
export async function axeMistakes(page: Page): Promise<readonly string[]> {
  // As large as the console itself: it stays in the page for the next look.
  if (await page.evaluate('typeof axe === "undefined"')) await page.evaluate(axeSource);
  return await page.evaluate(runAxe);
}

/** Holds a screen to WCAG 2.2 in light and dark, at 360 and 1,440 px, and leaves a picture of either width and scheme. */
export async function checkScreen(page: Page, name: string): Promise<void> {
  await mkdir(pictures, { recursive: true });
  for (const width of [360, 1440])
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      expect(await axeMistakes(page), `${name} at ${width} px, ${colorScheme}`).toEqual([]);
      const wide = await page.evaluate('document.documentElement.scrollWidth');
      expect(wide, `${name} fits into ${width} px`).toBeLessThanOrEqual(width);
      if ((width === 360) === (colorScheme === 'dark'))
        await page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      if (width === 1440 && colorScheme === 'light') await pictureForDocs(page, name);
    }
}

/** Makes the picture of a screen that stands in docs/, where CONSOLE_DOCS is set and there is one. */
export async function pictureForDocs(page: Page, name: string): Promise<void> {
  const file = documented.get(name);
  if (!process.env.CONSOLE_DOCS || file === undefined) return;
  await page.screenshot({ path: join('docs', `${file}.png`), fullPage: true });
}

/** Most presses of Tab until something must have come: more than any screen has to stop at. */
const mostStops = 90;

/** What has the focus is called, for a person who reads it. */
const focusedName = `(() => {
  const { activeElement: element } = document;
  if (element === null || element === document.body) return '';
  return (element.getAttribute('aria-label') ?? (element.labels?.[0] ?? element).textContent).trim();
})()`;

/** Presses Tab until the focus is on what has this name. */
export async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  for (let presses = 0; presses < mostStops; presses += 1) {
    const found = String(await page.evaluate(focusedName));
    if (typeof name === 'string' ? found === name : name.test(found)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`The keyboard does not come to ${name}`);
}

/** Comes to a button or a link by Tab and presses it: for whoever has no mouse. */
export async function press(page: Page, name: string | RegExp): Promise<void> {
  // It may only just have come.
  await page.getByText(name).or(page.getByLabel(name)).first().waitFor({ state: 'attached' });
  await tabTo(page, name);
  await page.keyboard.press('Enter');
}
