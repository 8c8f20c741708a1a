import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { startBrowser } from '../test/support/browser.ts';
import { type ConsoleTab, openConsole } from '../test/support/console-page.ts';
import type { Mailroom } from '../test/support/mailroom.ts';
import { digits, median, type SectionResult } from './report.ts';
import { withStarted } from './started.ts';
import { startMailroom } from './storage.ts';

/** Milliseconds until a first screen can be used, and until the page answers somebody who does something. */
const goals = { local: 1_000, far: 3_000, interaction: 100 } as const;
/** Added to each request and its answer, in ms. */
const latencyMs = 100;
const callers = 24;
/** Longest wait for a screen, in ms. */
const slowestMs = 180_000;
const uploadBytes = 150_000_000;

/** Keeps how long each thing that somebody did took until the page was painted anew (W3C Event Timing). */
const watchInteractions = `(() => {
  window.interactions = [];
  new PerformanceObserver((list) => {
    for (const { duration, interactionId } of list.getEntries())
      if (interactionId > 0) window.interactions.push(duration);
  }).observe({ type: 'event', durationThreshold: 16, buffered: true });
})()`;

/** Two frames later what was done before them is painted, and its time is known. */
const painted = 'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))';

/** A screen with a long list behind it, and what somebody does there. */
interface Screen {
  readonly name: string;
  readonly path: string;
  readonly use: (page: Page) => Promise<void>;
}

const refresh = (page: Page) => page.getByRole('button', { name: 'Refresh' }).click();
const nextPage = (page: Page) => page.getByRole('link', { name: 'Next page' }).click();

const screens: readonly Screen[] = [
  {
    name: 'accounts',
    path: '/accounts',
    use: async (page) => {
      await page.getByLabel('Name of an account').pressSequentially('account-7');
      await refresh(page);
      await nextPage(page);
    },
  },
  {
    name: 'outbox',
    path: '/outbox',
    use: async (page) => {
      await page.getByLabel('Recipient').pressSequentially('reader');
      await refresh(page);
      await nextPage(page);
    },
  },
  { name: 'webhooks', path: '/webhook', use: nextPage },
];

/** How soon the console can be used, and whether long lists make it slow, in headless Chromium. */
export async function consoleSpeed(options: { readonly quick: boolean }): Promise<SectionResult> {
  const [messages, accounts, rounds] = options.quick ? [500, 60, 5] : [10_000, 1_000, 15];
  return await withStarted(async (started) => {
    // Mail stays where it was accepted: what is measured is the page.
    const env = { 'AzureWebJobs.mail-send.Disabled': 'true' };
    const mailroom = await started.add(startMailroom('tuned', { env }), (part) => part.stop());
    const browser = await started.add(startBrowser(), (part) => part.close());
    await fill(mailroom, { messages: 1, accounts: 2 });
    const local = await repeated(rounds, () => firstScreen(browser, mailroom, 0));
    const far = await repeated(rounds, () => firstScreen(browser, mailroom, latencyMs));
    await fill(mailroom, { messages, accounts });
    const filled: (readonly [string, Seen])[] = [];
    for (const screen of screens) filled.push([screen.name, await looked(browser, mailroom, screen)]);
    const percents = await uploadPercents(browser, mailroom);
    return result({ messages, accounts, rounds }, { local, far, filled, percents });
  });
}

async function repeated(rounds: number, measure: () => Promise<number>): Promise<readonly number[]> {
  const took: number[] = [];
  // The first one warms up the process, the browser and its disk.
  await measure();
  for (let round = 0; round < rounds; round += 1) took.push(await measure());
  return took;
}

/** Makes accounts, and mails of the first of them. */
async function fill(mailroom: Mailroom, counts: { readonly messages: number; readonly accounts: number }) {
  const transport = { protocol: 'sink' };
  await each(counts.accounts, (n) =>
    mailroom.expect([200, 201], 'PUT', `/api/accounts/account-${n}`, {
      body: { from: `account-${n}@example.com`, transport },
    }),
  );
  await each(counts.messages, (n) =>
    mailroom.expect(202, 'POST', '/api/accounts/account-0/messages', {
      body: { to: `reader-${n}@example.org`, subject: `Message ${n}`, text: 'Hello.' },
    }),
  );
}

async function each(count: number, task: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      next += 1;
      await task(next - 1);
    }
  };
  await Promise.all(Array.from({ length: callers }, worker));
}

/** Milliseconds from the address to the rows of the first screen, in a browser that has nothing of it yet. */
async function firstScreen(browser: Browser, mailroom: Mailroom, latency: number): Promise<number> {
  const context = await browser.newContext();
  try {
    await context.addInitScript({ content: `sessionStorage['mailroom.key'] ??= 'test-function-key'` });
    const page = await context.newPage();
    const network = await context.newCDPSession(page);
    const rates = { offline: false, downloadThroughput: -1, uploadThroughput: -1 };
    await network.send('Network.enable');
    await network.send('Network.emulateNetworkConditions', { ...rates, latency });
    const began = performance.now();
    await page.goto(`${mailroom.url}/api/console/accounts`, { waitUntil: 'commit' });
    await page.getByRole('table').getByRole('link').first().waitFor();
    return performance.now() - began;
  } finally {
    await context.close();
  }
}

interface Seen {
  /** Milliseconds until its rows were there, by a link of the page. */
  readonly shownMs: number;
  /** The slowest answer to something that somebody did, in ms. */
  readonly interactionMs: number;
  readonly elements: number;
}

async function looked(browser: Browser, mailroom: Mailroom, { name, path, use }: Screen): Promise<Seen> {
  const tab = await openConsole(browser, mailroom, '/figures');
  const { page } = tab;
  try {
    // A screen that is slow is to be measured, and not to end the section.
    page.setDefaultTimeout(slowestMs);
    await page.evaluate(watchInteractions);
    const began = performance.now();
    await page.locator(`nav a[href$="/console${path}"]`).click();
    await rowsOf(page);
    const shownMs = performance.now() - began;
    await use(page);
    await rowsOf(page);
    await page.evaluate(painted);
    const took = (await page.evaluate('window.interactions')) as readonly number[];
    if (took.length === 0) throw new Error(`nothing was done on ${name}`);
    const elements = Number(await page.evaluate('document.querySelectorAll("*").length'));
    return { shownMs, interactionMs: Math.max(...took), elements };
  } finally {
    await tab.close();
  }
}

const rowsOf = (page: Page) => page.getByRole('table').locator('tbody tr').first().waitFor();

/** How many numbers of percent somebody sees while the largest file is uploaded. */
async function uploadPercents(browser: Browser, mailroom: Mailroom): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'mailroom-upload-'));
  let tab: ConsoleTab | undefined;
  try {
    const file = join(directory, 'large.bin');
    await writeFile(file, '');
    await truncate(file, uploadBytes);
    tab = await openConsole(browser, mailroom, '/outbox/write');
    await tab.page.evaluate(`(() => {
      window.percents = new Set();
      new MutationObserver(() => {
        const value = document.querySelector('.files progress')?.getAttribute('value');
        if (value) window.percents.add(value);
      }).observe(document.body, { subtree: true, childList: true, attributes: true });
    })()`);
    await tab.page.getByLabel('Add files').setInputFiles(file);
    await tab.page.locator('.files').getByText('uploaded').waitFor({ timeout: 300_000 });
    return Number(await tab.page.evaluate('window.percents.size'));
  } finally {
    await tab?.close();
    await rm(directory, { recursive: true });
  }
}

interface Measured {
  readonly local: readonly number[];
  readonly far: readonly number[];
  readonly filled: readonly (readonly [string, Seen])[];
  readonly percents: number;
}

function result(
  { messages, accounts, rounds }: { readonly messages: number; readonly accounts: number; readonly rounds: number },
  { local, far, filled, percents }: Measured,
): SectionResult {
  const all = `${messages.toLocaleString('en')} mails and ${accounts.toLocaleString('en')} accounts`;
  const first = (name: string, took: readonly number[]) => [
    name,
    digits(median(took)),
    digits(Math.max(...took)),
    '',
    '',
  ];
  const atMost = (what: string, figure: number, target: number) => ({
    ...{ what, figure, target, bound: 'atMost' as const, unit: ' ms' },
  });
  return {
    title: 'The console in headless Chromium',
    notes: [
      `First screen: ${rounds} times in a new profile, from the address to the first row, with a warm process; the median counts.`,
      `With ${all}: each screen once. An interaction takes until the page is painted anew (Event Timing): pointer and keys.`,
      `A file of ${uploadBytes / 1e6} MB was uploaded with ${percents} numbers of percent to see.`,
    ],
    table: [
      ['milliseconds', 'median', 'slowest', 'interaction', 'elements'],
      first('first screen', local),
      first(`with ${latencyMs} ms latency`, far),
      ...filled.map(([name, { shownMs, interactionMs, elements }]) => [
        `${name} of ${all}`,
        digits(shownMs),
        '',
        digits(interactionMs),
        String(elements),
      ]),
    ],
    goals: [
      atMost('console: first screen', median(local), goals.local),
      atMost(`console: first screen with ${latencyMs} ms latency`, median(far), goals.far),
      ...filled.map(([name, { interactionMs }]) =>
        atMost(`console: interaction on ${name} of ${all}`, interactionMs, goals.interaction),
      ),
    ],
  };
}
