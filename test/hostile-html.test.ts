import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ImapMailbox, startImapMailbox } from '../local/imap-mailbox/imap-mailbox.ts';
import { attacks } from '../shared/assets/attacks.test-support.ts';
import { chromiumMissing, startBrowser } from './support/browser.ts';
import { mailboxAccount, passwordOf } from './support/mailbox-account.ts';
import { Mailroom } from './support/mailroom.ts';

const missing = await chromiumMissing();
if (missing && process.env.CI) throw new Error(missing);

/** Attacks in one mail; some hide those behind them, so that each is also in a mail that has them in reverse order. */
const attacksPerMail = process.env.SOAK ? 1 : 120;
/** Pages open at a time. */
const pagesAtOnce = 8;

/** A PNG of one pixel. */
const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** An image of the mail, which is to be seen; then the attacks. What an attack runs leaves three traces. */
const bodies = [...groups(attacks), ...groups(attacks.toReversed())].map(
  (some) =>
    '<p><img src="cid:pixel@example.org" alt="pixel"></p>' +
    some.map((attack) => `<div>${attack.replaceAll('alert(1)', 'alert(document.title=owned=1)')}</div>`).join('\r\n'),
);

function groups(all: readonly string[]): string[][] {
  const count = Math.ceil(all.length / attacksPerMail);
  return Array.from({ length: count }, (_, n) => all.slice(n * attacksPerMail, (n + 1) * attacksPerMail));
}

function letter(html: string, n: number): Buffer {
  return Buffer.from(
    [
      'From: Mallory <mallory@example.org>',
      'To: corpus@example.com',
      `Subject: letter ${n}`,
      `Message-ID: <letter-${n}@example.org>`,
      'Date: Thu, 01 Jan 2026 10:00:00 +0100',
      'MIME-Version: 1.0',
      'Content-Type: multipart/related; boundary=b',
      '',
      '--b',
      'Content-Type: text/html; charset=utf-8',
      'Content-Transfer-Encoding: base64',
      '',
      Buffer.from(html).toString('base64').replace(/.{76}/g, '$&\r\n'),
      '--b',
      'Content-Type: image/png; name=pixel.png',
      'Content-ID: <pixel@example.org>',
      'Content-Transfer-Encoding: base64',
      '',
      pixel,
      '--b--',
      '',
    ].join('\r\n'),
  );
}

/** What the attacks are after: who reaches it has won. */
interface Trap {
  readonly port: number;
  connections: number;
  readonly requests: string[];
  readonly server: Server;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function startTrap(): Promise<Trap> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    // What an image is asked for with; a page, a frame or a style is asked for otherwise.
    const isImage = request.headers.accept?.startsWith('image/');
    requests.push(`${isImage ? 'image' : request.headers.accept} ${request.url}`);
    response.writeHead(200, { 'Content-Type': 'image/png' }).end(Buffer.from(pixel, 'base64'));
  });
  const trap: Trap = { port: await listen(server), connections: 0, requests, server };
  server.on('connection', () => {
    trap.connections += 1;
  });
  return trap;
}

/** What was seen while pages were open. */
interface Seen {
  readonly dialogs: string[];
  /** Pages with another title than theirs, with the global that an attack sets, or that are not where they were. */
  readonly owned: string[];
  /** Requests for anything that is no page of ours and no image of its mail. */
  readonly requests: string[];
  /** Elements that run, fetch or have left their place, and links to anything but pages, mail and telephones. */
  readonly elements: string[];
  images: number;
}

/** Opens pages in a browser that takes `evil` for the trap, looks at each when its network is idle, and closes them. */
async function look(urls: readonly string[], headers: Readonly<Record<string, string>>): Promise<Seen> {
  const seen: Seen = { dialogs: [], owned: [], requests: [], elements: [], images: 0 };
  const browser = await startBrowser({ args: [`--host-resolver-rules=MAP evil 127.0.0.1:${trap.port}`] });
  try {
    for (let n = 0; n < urls.length; n += pagesAtOnce) {
      await Promise.all(urls.slice(n, n + pagesAtOnce).map((url) => lookAt(browser, url, headers, seen)));
    }
  } finally {
    await browser.close();
  }
  return seen;
}

async function lookAt(
  browser: Browser,
  url: string,
  headers: Readonly<Record<string, string>>,
  seen: Seen,
): Promise<void> {
  const context = await browser.newContext({ extraHTTPHeaders: headers });
  const page = await context.newPage();
  context.on('page', (popup) => seen.owned.push(`a window at ${popup.url()}`));
  context.on('request', (request) => {
    const isOwn = request.url() === url || /\/attachments\/1$/.test(request.url());
    if (!isOwn && !request.url().startsWith('data:')) seen.requests.push(`${request.resourceType()} ${request.url()}`);
  });
  page.on('dialog', (dialog) => {
    seen.dialogs.push(dialog.message());
    dialog.dismiss().catch(() => undefined);
  });
  await page.goto(url, { waitUntil: 'networkidle' });
  await examine(page, url, seen);
  await context.close();
}

const others = 'link,style,script,iframe,frame,object,embed,form,input,base,svg,math,video,audio,body meta,template';

/** Asked inside the page; a text, since it runs there and not here. */
const questions = `(() => {
  const all = [...document.querySelectorAll('*')];
  const shown = (elements) => elements.map(({ outerHTML }) => outerHTML.slice(0, 200));
  return {
    title: document.title,
    owned: 'owned' in globalThis,
    image: document.querySelector('img[alt=pixel]')?.naturalWidth ?? 0,
    moved: shown(
      all.filter((element) => {
        const { position, transform, zIndex } = getComputedStyle(element);
        return position !== 'static' || transform !== 'none' || zIndex !== 'auto';
      }),
    ),
    others: shown([...document.querySelectorAll('${others}')]),
    handlers: shown(all.filter((element) => element.getAttributeNames().some((name) => name.startsWith('on')))),
    links: all
      .filter((element) => element.hasAttribute('href'))
      .map(({ href }) => String(href))
      .filter((href) => !/^(?:https?:\\/\\/|mailto:|tel:)/.test(href)),
  };
})()`;

/** Whether the image of the mail itself has come, or will not. */
const imageEnded = `document.querySelector('img[alt=pixel]')?.complete ?? true`;

const foundSchema = z.object({
  title: z.string(),
  owned: z.boolean(),
  image: z.number(),
  moved: z.array(z.string()),
  others: z.array(z.string()),
  handlers: z.array(z.string()),
  links: z.array(z.string()),
});

async function examine(page: Page, url: string, seen: Seen): Promise<void> {
  // On a busy machine it begins to come after the network was idle. A page that went elsewhere has none to wait for.
  await expect.poll(() => page.evaluate<boolean>(imageEnded).catch(() => true)).toBe(true);
  const answers = await page.evaluate(questions).catch((error: unknown) => {
    seen.owned.push(`${url} went to another page: ${error}`);
  });
  if (answers === undefined) return;
  const found = foundSchema.parse(answers);
  if (found.owned) seen.owned.push(`a global at ${url}`);
  if (!found.title.startsWith('letter ')) seen.owned.push(`title ${found.title} at ${url}`);
  if (page.url() !== url) seen.owned.push(`${url} went to ${page.url()}`);
  if (page.frames().length > 1) seen.owned.push(`frames at ${url}`);
  if (found.image === 1) seen.images += 1;
  seen.elements.push(...found.moved, ...found.others, ...found.handlers, ...found.links);
}

let mailroom: Mailroom;
let imap: ImapMailbox;
let trap: Trap;
/** Serves HTML without any policy. */
let bare: Server;
let bareUrl = '';
const barePages = new Map<string, string>();
let assets: string[] = [];

describe.skipIf(missing !== undefined)(
  `a mail with every trick of the collections${missing ? ` (${missing})` : ''}`,
  () => {
    beforeAll(async () => {
      [mailroom, imap, trap] = await Promise.all([
        Mailroom.start(),
        startImapMailbox({ accounts: [{ user: 'corpus', password: passwordOf('corpus') }] }),
        startTrap(),
      ]);
      bare = createServer((request, response) => {
        const page = barePages.get(request.url ?? '');
        response.writeHead(page === undefined ? 404 : 200, { 'Content-Type': 'text/html; charset=utf-8' }).end(page);
      });
      bareUrl = `http://127.0.0.1:${await listen(bare)}`;
      for (const [n, html] of bodies.entries()) imap.deliver('corpus', letter(html, n));
      await mailboxAccount(mailroom, imap, 'corpus');
      expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: bodies.length });
      assets = (await mailroom.assets('corpus')).map(({ id }) => `/api/assets/${id}/html`);
    });

    afterAll(async () => {
      trap?.server.close();
      bare?.close();
      trap?.server.closeAllConnections();
      bare?.closeAllConnections();
      await imap?.stop();
      await mailroom?.stop();
    });

    /** Pages of the bare server, as such and not as pages of the service. */
    function barely(name: string, pages: readonly string[]): string[] {
      return pages.map((page, n) => {
        barePages.set(`/${name}/${n}`, page);
        return `${bareUrl}/${name}/${n}`;
      });
    }

    // The control: how far a page has got when it is looked at is up to a busy browser.
    it('does all of it where nothing keeps it from it', { retry: 5 }, async () => {
      const pages = bodies.map((html, n) => `<!doctype html><title>letter ${n}</title>${html}`);
      const seen = await look(barely('raw', pages), {});
      expect(seen.dialogs).toContain('1');
      expect(seen.owned).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^a global/),
          expect.stringMatching(/^title 1/),
          expect.stringMatching(/^frames/),
          expect.stringMatching(/ went to /),
        ]),
      );
      expect(seen.elements).toEqual(
        expect.arrayContaining([
          expect.stringContaining('position:fixed'),
          expect.stringContaining('onerror'),
          expect.stringMatching(/^<link rel=.?preconnect/),
          expect.stringMatching(/^javascript:/),
        ]),
      );
      for (const kind of ['image', 'stylesheet', 'script', 'font', 'media', 'document']) {
        expect(seen.requests).toContainEqual(expect.stringMatching(new RegExp(`^${kind} http://evil/`)));
      }
      expect(trap.requests.length).toBeGreaterThan(50);
    });

    it('runs nothing, fetches nothing and looks like itself, with its policy and without', async () => {
      const pages = await Promise.all(
        assets.map(async (path) => {
          const { bytes } = await mailroom.expect(200, 'GET', path);
          return bytes.toString().replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, '');
        }),
      );
      trap.connections = 0;
      const served = assets.map((path) => mailroom.url + path);
      const seen = await look([...served, ...barely('sanitised', pages)], mailroom.keyHeader);
      expect(seen).toMatchObject({ dialogs: [], owned: [], requests: [], elements: [], images: bodies.length });
      expect(trap.connections).toBe(0);
    });

    it('fetches images alone where remote content is asked for', async () => {
      trap.requests.length = 0;
      const seen = await look(
        assets.map((path) => `${mailroom.url}${path}?remote=true`),
        mailroom.keyHeader,
      );
      expect(seen).toMatchObject({ dialogs: [], owned: [], elements: [], images: bodies.length });
      expect(seen.requests.filter((request) => !request.startsWith('image http'))).toEqual([]);
      expect(trap.requests.length).toBeGreaterThan(0);
      expect(trap.requests.filter((request) => !request.startsWith('image '))).toEqual([]);
    });
  },
);
