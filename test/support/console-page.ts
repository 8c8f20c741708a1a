import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Browser, Page, Request } from 'playwright-core';
import { expect } from 'vitest';
import { checkDescribed, type Mailroom } from './mailroom.ts';

/** Where pictures of screens go, to be looked at; undefined: none are made. */
const pictures = process.env.CONSOLE_PICTURES;

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
const allRules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
/** Those that go by colours: the others find in the dark theme what they found in the light one (`console-sources.test.ts`). */
const colourRules = ['color-contrast', 'link-in-text-block'];
/** No script runs in the frame of a mail, axe's neither. */
const runAxe = (rules: readonly string[]) => `axe.run({ exclude: [['iframe']] }, {
  iframes: false,
  preload: false,
  resultTypes: ['violations'],
  runOnly: ${JSON.stringify(rules)},
}).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
  nodes.map(({ html, failureSummary }) => id + ': ' + html.slice(0, 200) + ' ' + failureSummary)))`;

/** What a test answers in place of whatever stands in front of the app: no answer of the service. */
export const byFront = { status: 503, headers: { 'x-by': 'front' }, contentType: 'text/html', body: '<h1>503</h1>' };

/** Longest wait for something to see: a busy machine takes its time. In ms. */
const waitMs = 120_000;

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
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: scheme,
    locale: 'en-GB',
    // Neither the hours nor the minutes are those of UTC.
    timezoneId: 'Asia/Kolkata',
  });
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
    // A test that loads another page wants to lose what it has typed.
    if (dialog.type() === 'beforeunload') return void dialog.accept();
    strange.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${service.url}/`) && !/^(?:data|blob|about):/.test(url)) strange.push(`asked: ${url}`);
    if (/[?&]code=/.test(url) || (key !== null && url.includes(key))) strange.push(`key in an address: ${url}`);
  });
  const looks: Promise<void>[] = [];
  // An answer that the page has given up never comes to its end.
  context.on('requestfinished', (request) => {
    looks.push(described(request).catch((error: Error) => void strange.push(error.message)));
  });
  await page.goto(`${service.url}/api/console${path}`);
  return {
    page,
    checkCalm: async () => {
      await page.evaluate('new Promise((resolve) => setTimeout(resolve, 0))');
      await Promise.all(looks.splice(0));
      expect(strange.splice(0)).toEqual([]);
    },
    close: () => context.close(),
  };
}

/** Fails where a call of a page, or its answer, is not as openapi.json has it. */
async function described(request: Request): Promise<void> {
  const { pathname, search } = new URL(request.url());
  // What the front of the app answers, or a file, is no call of the console's.
  if (!pathname.startsWith('/api/') || /^\/api\/(?:console|docs)/.test(pathname)) return;
  const response = await request.response().catch(() => null);
  // The page may have gone.
  const bytes = await response?.body().catch(() => undefined);
  if (!response || bytes === undefined || response.headers()['x-by'] === 'front') return;
  const headers = new Headers(response.headers());
  const hasJson = /json/.test(headers.get('content-type') ?? '');
  const isJson = hasJson && bytes.length > 0;
  const contentType = request.headers()['content-type'];
  const sent = /json/.test(contentType ?? '') ? (request.postData() ?? '') : '';
  checkDescribed({
    method: request.method(),
    path: pathname + search,
    status: response.status(),
    headers,
    // Of what a page keeps as a file the browser gives no bytes.
    bytes: hasJson || response.status() >= 300 ? bytes : Buffer.from('.'),
    json: isJson ? JSON.parse(bytes.toString()) : undefined,
    ...(sent === '' ? {} : { body: JSON.parse(sent), contentType }),
  });
}

/** What axe-core finds wrong with a page by WCAG 2.2 A and AA, a line for each place. */
export async function axeMistakes(page: Page, rules = allRules): Promise<readonly string[]> {
  // As large as the console itself: it stays in the page for the next look.
  if (await page.evaluate('typeof axe === "undefined"')) await page.evaluate(axeSource);
  return await page.evaluate(runAxe(rules));
}

/** Holds a screen to WCAG 2.2 in light and dark, at 360 and 1,440 px; `CONSOLE_PICTURES` has a picture of each then. */
export async function checkScreen(page: Page, name: string): Promise<void> {
  for (const width of [360, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      const rules = colorScheme === 'light' ? allRules : colourRules;
      expect(await axeMistakes(page, rules), `${name} at ${width} px, ${colorScheme}`).toEqual([]);
      if (pictures !== undefined)
        await page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      if (width === 1440 && colorScheme === 'light') await pictureForDocs(page, name);
    }
    const wide = await page.evaluate('document.documentElement.scrollWidth');
    expect(wide, `${name} fits into ${width} px`).toBeLessThanOrEqual(width);
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
