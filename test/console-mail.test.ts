import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser, Download, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type SmtpSink, startSmtpSink } from '../local/smtp-sink.ts';
import { chromiumMissing, startBrowser } from './support/browser.ts';
import {
  byFront,
  type ConsoleTab,
  checkScreen,
  openConsole,
  pictureForDocs,
  press,
  tabTo,
} from './support/console-page.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { deliverAll, imapAccount } from './support/imap-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { becomeReadable, blankMail, changeRow, quarantineAll, quarantineKeys } from './support/quarantine.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, send, smtpAccount } from './support/sending.ts';
import { vaultClient } from './support/vault-client.ts';
import { WebhookReceiver } from './support/webhook-receiver.ts';

const missing = await chromiumMissing();
if (missing !== undefined) console.warn(`Skipped: the console in a browser, since ${missing}.`);

/** Runs where it stands as HTML. */
const hostile = '"><img src="/hostile" onerror="noteStrange(1)"><script>noteStrange(2)</script>';
/** The same within a header of a mail. */
const hostileHeader = '=?utf-8?q?=22=3E=3Cimg_src=3D=22/hostile=22_onerror=3D=22noteStrange(3)=22=3E?=';
const noSuchUser = `550 5.1.1 <script>noteStrange(4)</script><img src=/hostile onerror=noteStrange(5)>`;

describe.skipIf(missing !== undefined)('the screens of mail in the console', () => {
  let mailroom: Mailroom;
  let dovecot: Dovecot;
  let sink: SmtpSink;
  let scripted: ScriptedSmtp;
  let receiver: WebhookReceiver;
  /** Tells a sender that a mail was read. */
  let tracker: Server;
  let tracked = 0;
  let browser: Browser;
  let tab: ConsoleTab;
  let page: Page;
  /** How far ahead the service's clock is. */
  let shiftMs = 0;
  /** The key that the host knows. */
  let key = 'test-function-key';
  const ids = { failed: '', asset: '', bland: '', quarantined: [''] };

  beforeAll(async () => {
    tracker = createServer((_, response) => {
      tracked += 1;
      response.writeHead(200, { 'content-type': 'image/gif' }).end(Buffer.from('R0lGODlhAQABAAAAACw=', 'base64'));
    });
    await new Promise<void>((resolve) => tracker.listen(0, '127.0.0.1', resolve));
    const users = { reader: 'password of reader', blank: 'password of blank' };
    [mailroom, dovecot, sink, scripted, receiver, browser] = await Promise.all([
      Mailroom.start({ env: () => ({ LOCAL_FUNCTION_KEY: key, WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' }) }),
      startDovecot({ users }),
      startSmtpSink(),
      startScriptedSmtp({ answer: (step) => (step === 'RCPT' ? noSuchUser : undefined) }),
      WebhookReceiver.start(),
      startBrowser(),
    ]);
    await deliverAll(dovecot, [{ bytes: blandMail }, { bytes: hostileMail(tracker) }], { user: 'reader' });
    await deliverAll(
      dovecot,
      [1, 2, 3].map((n) => ({ bytes: blankMail(n) })),
      { user: 'blank' },
    );
    for (const name of ['reader', 'blank']) await imapAccount(mailroom, name, dovecot, { user: name });
    shiftMs = await quarantineAll(mailroom, ['blank']);
    await mailroom.import('reader');
    await smtpAccount(mailroom, 'corpus', { port: sink.port });
    await smtpAccount(mailroom, 'refused', { port: scripted.port });
    ids.failed = (await send(mailroom, 'refused', { subject: hostile, metadata: { ticket: hostile } })).id;
    await endedRecord(mailroom, ids.failed);
    for (const { id, messageId } of await mailroom.assets('reader'))
      ids[messageId === '<hostile@example.org>' ? 'asset' : 'bland'] = id;
    const quarantine = await mailroom.expect(200, 'GET', '/api/quarantine?account=blank');
    ids.quarantined = quarantine.json.items.map(({ id }: { id: string }) => id);
    tab = await openConsole(browser, mailroom, '/outbox');
    page = tab.page;
    // The reader's clock is that of the service.
    await page.clock.setSystemTime(Date.now() + shiftMs);
  }, 240_000);

  // Nothing that came from a mail, a server or a caller has run, or was fetched, and no policy was hurt.
  afterEach(() => tab.checkCalm());

  afterAll(async () => {
    await browser?.close();
    await mailroom?.stop();
    await dovecot?.remove();
    await sink?.stop();
    await scripted?.stop();
    await receiver?.stop();
    await new Promise((resolve) => tracker?.close(resolve));
  });

  const button = (name: string | RegExp) => page.getByRole('button', { name });
  const dialogButton = (name: string) => page.getByRole('dialog').getByRole('button', { name });
  const says = (text: string | RegExp) => page.locator('main').getByText(text).first().waitFor();
  const toast = (text: string | RegExp) => page.locator('.toast').getByText(text).waitFor();
  const heading = (name: string | RegExp) => page.getByRole('heading', { level: 1, name }).waitFor();

  /** Leads to a screen, `/outbox?account=corpus`. */
  async function goTo(screen: string): Promise<void> {
    await page.goto(`${mailroom.url}/api/console${screen}`);
    await page.locator('main h1').waitFor();
  }

  async function signIn(entered: string): Promise<void> {
    await fill({ 'Function key': entered });
    await button('Sign in').click();
  }

  /** Fills fields by their labels. */
  async function fill(values: Readonly<Record<string, string>>): Promise<void> {
    for (const [label, value] of Object.entries(values)) await page.getByLabel(label, { exact: true }).fill(value);
  }

  /** What has the focus. */
  const focused = () => page.evaluate('document.activeElement?.textContent');

  async function downloaded(click: () => Promise<void>): Promise<Buffer> {
    const [download] = await Promise.all([page.waitForEvent('download'), click()]);
    return await bytesOf(download);
  }

  describe('Outbox', () => {
    it('finds a mail by its recipient, and the address says what was asked', async () => {
      const { id } = await send(mailroom, 'corpus', { to: ['someone+else@example.org'] });
      await endedRecord(mailroom, id);
      await goTo('/outbox');
      await tabTo(page, 'Recipient');
      await page.keyboard.type('someone+else@example.org');
      await press(page, 'Find');
      await page.waitForURL(/recipient=someone%2Belse%40example\.org/);
      const rows = page.getByRole('table').locator('tbody tr');
      await expect.poll(() => rows.count()).toBe(1);
      await press(page, 'someone+else@example.org');
      await heading('A mail');
      await page.goBack();
      await heading('Outbox');
      expect(await page.getByLabel('Recipient', { exact: true }).inputValue()).toBe('someone+else@example.org');
      await page.goForward();
      await heading('A mail');
    });

    it('has a page of a long list on the screen, and leads to the next one', async () => {
      await mailroom.expect(201, 'PUT', '/api/accounts/many', {
        body: { from: 'many@example.com', transport: { protocol: 'sink' }, limits: { perMinute: 1 } },
      });
      for (let n = 0; n < 3; n += 1) await Promise.all(Array.from({ length: 17 }, () => send(mailroom, 'many')));
      await goTo('/outbox?account=many');
      const rows = page.getByRole('table').locator('tbody tr');
      await expect.poll(() => rows.count()).toBe(50);
      const first = page.url();
      await press(page, 'Next page');
      await expect.poll(() => rows.count()).toBe(1);
      // The links went while it was loaded; the keyboard begins at the new page.
      await expect.poll(focused).toBe('Outbox');
      await press(page, 'First page');
      await expect.poll(() => rows.count()).toBe(50);
      await expect.poll(focused).toBe('Outbox');
      await page.goBack();
      await expect.poll(() => rows.count()).toBe(1);
      await page.goBack();
      await expect.poll(() => rows.count()).toBe(50);
      expect(page.url()).toBe(first);
    });

    it('says beside the field what is wrong with a search', async () => {
      await goTo('/outbox?recipient=nobody');
      const field = page.getByLabel('Recipient', { exact: true });
      await expect.poll(() => field.getAttribute('aria-invalid')).toBe('true');
      expect(await field.inputValue()).toBe('nobody');
      await goTo('/outbox?status=lost');
      await says('There is no status lost.');
    });

    it('shows why a mail failed, and sends it again once that is put right', async () => {
      await goTo(`/outbox/${ids.failed}`);
      await says(/<script>noteStrange\(4\)<\/script>/);
      await says(hostile);
      scripted.answers(() => undefined);
      await press(page, 'Resend');
      await page.getByRole('dialog').waitFor();
      await press(page, 'Resend');
      await toast('It is sent again.');
      await expect.poll(focused).toBe('A mail');
      // The screen follows the mail by itself.
      await says('The mail server has taken it for every recipient.');
      expect(scripted.mails.filter(({ recipients }) => recipients.length > 0)).toHaveLength(1);
      const mime = await downloaded(() => button('Download as MIME').click());
      expect(mime.toString()).toContain('Message-ID:');
    });

    it('cancels a mail that is to be sent later, after a question', async () => {
      const { id } = await send(mailroom, 'corpus', { sendAt: new Date(Date.now() + 90_000_000).toISOString() });
      await goTo(`/outbox/${id}`);
      await press(page, 'Cancel the mail');
      await page.getByRole('dialog').waitFor();
      await press(page, 'Keep it');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      expect((await mailroom.expect(200, 'GET', `/api/messages/${id}`)).json.status).toBe('scheduled');
      await button('Cancel the mail').click();
      await dialogButton('Cancel the mail').click();
      await says('Somebody has taken it back.');
      await expect.poll(focused).toBe('A mail');
      // Somebody else may be first, while one is still asked.
      const other = await send(mailroom, 'corpus', { sendAt: new Date(Date.now() + 90_000_000).toISOString() });
      await page.getByRole('link', { name: 'Outbox' }).first().click();
      await page.locator(`main a[href$="${other.id}"]`).click();
      await press(page, 'Cancel the mail');
      await page.getByRole('dialog').waitFor();
      await mailroom.call('DELETE', `/api/messages/${other.id}`);
      await says('Somebody has taken it back.');
      await press(page, 'Keep it');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      await expect.poll(focused).toBe('A mail');
    });

    it('tries at once what waits, one mail or all of an account', async () => {
      let away = true;
      scripted.answers((step) => (away && step === 'RCPT' ? '451 4.2.0 come back later' : undefined));
      const waiting = await Promise.all([send(mailroom, 'refused'), send(mailroom, 'refused')]);
      for (const { id } of waiting) await until(`an attempt of ${id}`, 60, async () => attempts(id));
      away = false;
      await goTo(`/outbox/${waiting[0].id}`);
      await says(/come back later/);
      await pictureForDocs(page, 'message-waiting');
      await button('Try now').click();
      await says('The mail server has taken it for every recipient.');
      await expect.poll(focused).toBe('A mail');
      await goTo('/outbox?account=refused');
      await button('Try all waiting mail of refused now').click();
      await toast('All waiting mail of refused is tried now.');
      expect((await endedRecord(mailroom, waiting[1].id)).status).toBe('sent');
    });

    it('shows a mail whose answers take longer than the pause between two looks at it', async () => {
      const { id } = await send(mailroom, 'corpus');
      await endedRecord(mailroom, id);
      await goTo('/outbox?account=corpus');
      const answers = /\/api\/messages\/[^/?]+$/;
      // By the page's clock.
      await page.route(answers, async (route) => {
        await page.clock.fastForward(5_000);
        await route.continue();
      });
      await page.getByRole('table').getByRole('link').first().click();
      await heading('A mail');
      await page.getByRole('table', { name: 'Recipients, and what became of the mail for each' }).waitFor();
      await page.unroute(answers);
    });

    it('has a part of five hundred recipients on the screen', async () => {
      await mailroom.expect([200, 201], 'PUT', '/api/accounts/crowd', {
        body: { from: 'crowd@example.com', transport: { protocol: 'sink' } },
      });
      const to = Array.from({ length: 500 }, (_, n) => `r${n}@example.org`);
      const { id } = await send(mailroom, 'crowd', { to });
      await endedRecord(mailroom, id);
      await goTo('/outbox?account=crowd');
      await page.getByRole('link', { name: 'r0@example.org' }).click();
      const rows = page.getByRole('table', { name: /^Recipients/ }).locator('tbody tr');
      await expect.poll(() => rows.count()).toBe(50);
      await button('After').click();
      await says('51–100 of 500');
      await page.getByRole('row', { name: /^r99@/ }).waitFor();
    });

    it('a mail that waits leads to the account that fails; its password is mended there, and the mail leaves', async () => {
      const right = 'the right password';
      mailroom.watch.add(right);
      const plain = Buffer.from(`\0mended\0${right}`).toString('base64');
      const server = await startScriptedSmtp({
        extensions: ['AUTH PLAIN'],
        answer: (step, line) => (step === 'AUTH' && !line.includes(plain) ? `535 5.7.8 ${hostile}` : undefined),
      });
      try {
        const secret = 'mended-smtp-password';
        const auth = { type: 'password', user: 'mended', secret };
        await smtpAccount(mailroom, 'mended', { port: server.port, auth });
        await mailroom.secret('mended', secret, 'a wrong password');
        const { id } = await send(mailroom, 'mended', { to: 'waits@example.org' });
        await until(`an attempt of ${id}`, 60, async () => attempts(id));
        await goTo('/outbox');
        await fill({ Recipient: 'waits@example.org' });
        await button('Find').click();
        await page.getByRole('link', { name: 'waits@example.org' }).click();
        await heading('A mail');
        const why = page.getByRole('status').filter({ hasText: 'The account mended does not send' });
        await why.getByText(/Check user and secret of the account/).waitFor();
        await why.getByRole('link', { name: 'mended' }).click();
        await heading('mended');
        await page.getByRole('link', { name: 'Settings' }).click();
        await fill({ Password: right, 'The password ends': '2036-01-02T03:04' });
        await button('Save').click();
        await toast(/^mended is saved/);
        await page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'Outbox' }).click();
        await page.getByRole('link', { name: 'waits@example.org' }).click();
        await says('The mail server has taken it for every recipient.');
        expect(server.mails).toHaveLength(1);
        const status = await mailroom.expect(200, 'GET', '/api/accounts/mended/status');
        expect(status.json.secrets).toMatchObject([{ name: secret, expiresAt: '2036-01-01T21:34:00.000Z' }]);
      } finally {
        await server.stop();
      }
    });

    const attempts = async (id: string) => {
      const { json } = await mailroom.expect(200, 'GET', `/api/messages/${id}`);
      return json.status === 'queued' && json.attempts.length > 0;
    };
  });

  describe('Write a mail', () => {
    /** The largest that a mail may have, in the runs that take their time. */
    const bytes = Buffer.alloc(process.env.SOAK ? 100_000_000 : 1_000_000, 'attachment ');

    it('shows mistakes beside their fields, and keeps what was typed', async () => {
      await goTo('/outbox/write');
      await fill({ To: 'jane@', Subject: hostile, Text: 'Hello' });
      await button('Send').click();
      const to = page.getByLabel('To', { exact: true });
      await expect.poll(() => to.getAttribute('aria-invalid')).toBe('true');
      expect(await page.locator(':focus').getAttribute('aria-invalid')).toBe('true');
      expect(await to.inputValue()).toBe('jane@');
      await fill({ Account: 'nobody', To: 'jane@example.org' });
      await button('Send').click();
      const account = page.getByLabel('Account', { exact: true });
      await expect.poll(() => account.getAttribute('aria-invalid')).toBe('true');
      // Kept while somebody looks at another screen.
      await page.getByRole('link', { name: 'Assets' }).click();
      await heading('Assets');
      await page.goBack();
      expect(await page.getByLabel('Subject', { exact: true }).inputValue()).toBe(hostile);
      // What is open stays open while one types.
      await page.getByText('HTML as well').click();
      await fill({ HTML: 'x' });
      await fill({ HTML: '' });
      await page.getByLabel('HTML', { exact: true }).waitFor();
    });

    it('is not lost by closing the tab without a question, and nothing is asked where nothing was typed', async () => {
      const asked: string[] = [];
      page.on('dialog', (dialog) => asked.push(dialog.type()));
      await goTo('/outbox/write');
      asked.length = 0;
      const subject = page.getByLabel('Subject', { exact: true });
      await subject.click();
      await goTo('/outbox/write');
      expect(asked).toEqual([]);
      // The browser asks those alone who have done something on the page.
      await subject.click();
      await page.keyboard.type('Typed');
      await goTo('/outbox/write');
      expect(asked).toEqual(['beforeunload']);
      expect(await subject.inputValue()).toBe('');
    });

    it('uploads a file with percent, sends it, and follows the mail', async () => {
      await goTo('/outbox/write');
      await fill({ To: 'jane@example.org', Subject: hostile, Text: 'Hello' });
      const slow = await page.context().newCDPSession(page);
      const rates = { offline: false, latency: 0, downloadThroughput: -1 };
      await slow.send('Network.emulateNetworkConditions', { ...rates, uploadThroughput: bytes.length / 1.5 });
      const files = [
        { path: join(mailroom.directory, `${hostile.replaceAll('/', '_')}.html`), content: bytes },
        { path: join(mailroom.directory, 'small.txt'), content: '.' },
      ];
      for (const { path, content } of files) await writeFile(path, content);
      await page.getByLabel('Add files').setInputFiles(files.map(({ path }) => path));
      const percent = new Set<string>();
      await until('both uploads', 170, async () => {
        for (const value of await page
          .locator('.files progress')
          .evaluateAll((all) => all.map((one) => one.getAttribute('value'))))
          percent.add(String(value));
        return (await page.locator('.files').getByText('uploaded').count()) === 2;
      });
      expect([...percent].filter((value) => Number(value) > 0 && Number(value) < 100).length).toBeGreaterThan(0);
      await slow.send('Network.emulateNetworkConditions', { ...rates, uploadThroughput: -1 });
      // The keyboard goes on where files are added, once the button that removes one has gone with it.
      await press(page, 'Remove small.txt');
      await expect.poll(() => page.evaluate('document.activeElement.type')).toBe('file');
      await button('Send').click();
      await heading('A mail');
      await says('The mail server has taken it for every recipient.');
      const mail = await sink.waitFor(({ to }) => to.includes('jane@example.org'));
      const encoded = bytes.toString('base64').slice(0, 60);
      expect(mail.bytes.toString('latin1')).toContain(encoded);
    });

    it('is sent once where the answer was lost and it is sent again', async () => {
      await goTo('/outbox/write');
      await fill({ To: 'once@example.org', Subject: 'Once' });
      // The service has the mail; the answer is lost on the way.
      await page.route(
        '**/api/accounts/corpus/messages',
        async (route) => {
          await route.fetch();
          await route.abort('connectionreset');
        },
        { times: 1 },
      );
      await button('Send').click();
      await says(/did not answer/);
      await button('Send').click();
      await heading('A mail');
      await says('The mail server has taken it for every recipient.');
      const { json } = await mailroom.expect(200, 'GET', '/api/messages?recipient=once@example.org');
      expect(json.items).toHaveLength(1);
    });

    it('can be written with the keyboard alone', async () => {
      await goTo('/outbox');
      await press(page, 'Write a mail');
      await heading('Write a mail');
      await tabTo(page, 'To');
      await page.keyboard.type('keys@example.org');
      await tabTo(page, 'Subject');
      await page.keyboard.type('Keys');
      await page.keyboard.press('Enter');
      await heading('A mail');
    });
  });

  it('an import whose progress cannot be seen is said to go on', async () => {
    await goTo('/accounts/reader');
    const looks = /\/runs\//;
    await page.route(looks, (route) => route.fulfill({ ...byFront, status: 404 }));
    await button('Import now').click();
    const lost = page.getByRole('alert').getByText(/^The import was started, and goes on by itself/);
    await until('the page to stop looking', 120, async () => {
      await page.clock.runFor(1_000);
      return await lost.isVisible();
    });
    await page.unroute(looks);
  });

  describe('Assets', () => {
    it('lists what was imported by account and time, and shows a mail', async () => {
      await goTo('/assets?account=reader');
      await press(page, /img src/);
      await heading(/img src/);
      // The name of the sender is text as well.
      await page.locator('dd').filter({ hasText: 'noteStrange(3)' }).filter({ hasText: 'jane@example.org' }).waitFor();
      await goTo('/assets?account=reader&since=2100-01-01T00:00:00.000Z');
      await says('Nothing was imported that fits.');
    });

    it('shows the body in a frame, without pictures from elsewhere', async () => {
      await goTo(`/assets/${ids.asset}`);
      const asked = tracked;
      const frame = page.frameLocator('iframe');
      await frame.getByText('The body of the mail').waitFor();
      expect(await frame.locator('script, form, iframe, object, link, meta[http-equiv=refresh]').count()).toBe(0);
      // The picture that came with the mail is there.
      await expect
        .poll(() => frame.locator('img[src^="blob:"]').evaluate((img) => 'naturalWidth' in img && img.naturalWidth))
        .toBe(1);
      expect(tracked).toBe(asked);
    });

    it("has its times in the reader's own zone, with UTC where one points at them", async () => {
      await goTo(`/assets/${ids.asset}`);
      const date = page.locator('main time[title="2026-01-01 09:00:00 UTC"]');
      // The reader is in India.
      expect(await date.textContent()).toBe('1 Jan 2026, 14:30');
    });

    it('loads pictures from elsewhere where the reader asks for them', async () => {
      // In a tab of its own: that it asks another origin is what the reader wants here.
      const asked = tracked;
      const other = await openConsole(browser, mailroom, `/assets/${ids.asset}`);
      await other.page.getByRole('button', { name: 'Load pictures from elsewhere' }).click();
      await expect.poll(() => tracked).toBe(asked + 1);
      await other.close();
    });

    it('gives attachments and the mail itself as files', async () => {
      await goTo(`/assets/${ids.asset}`);
      const file = await downloaded(() => button(/^Download .*attack/).click());
      expect(file.toString()).toBe('<script>noteStrange(6)</script>');
      const mime = await downloaded(() => press(page, 'Download as MIME'));
      expect(mime).toEqual(hostileMail(tracker));
    });
  });

  it('an asset is deleted after a question', async () => {
    await goTo(`/assets/${ids.bland}`);
    await button('Delete').click();
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await mailroom.expect(200, 'GET', `/api/assets/${ids.bland}`);
    await button('Delete').click();
    await dialogButton('Delete').click();
    await toast('The asset is deleted.');
    await mailroom.expect(404, 'GET', `/api/assets/${ids.bland}`);
  });

  describe('Quarantine', () => {
    it('tells the reason, checks a mail in again, and says why where it cannot', async () => {
      const [first = '', second = ''] = ids.quarantined;
      await goTo(`/quarantine/${first}`);
      await button('Check it in again').click();
      await page.locator('main [role=alert].bad').waitFor();
      await becomeReadable(mailroom, second, Buffer.from('Subject: readable at last\r\n\r\nText\r\n'));
      await goTo('/quarantine?account=blank');
      await page.getByRole('table').locator(`a[href$="${second}"]`).focus();
      await page.keyboard.press('Enter');
      await press(page, 'Check it in again');
      await heading('readable at last');
    });

    it('drops a mail after a question', async () => {
      const [first = ''] = ids.quarantined;
      await goTo(`/quarantine/${first}`);
      await press(page, 'Drop');
      await page.getByRole('dialog').waitFor();
      await press(page, 'Drop');
      await page.waitForURL(/\/quarantine$/);
      await mailroom.expect(404, 'GET', `/api/quarantine/${first}`);
    });
  });

  it('what a mail server says is text wherever it is shown', async () => {
    const since = new Date(Date.now() + shiftMs).toISOString();
    const said = { code: hostile, hint: hostile };
    const status = /\/api\/accounts\/refused\/status$/;
    await page.route(status, async (route) => {
      const response = await route.fetch();
      const failing = [{ side: 'transport', since, ...said }];
      const lastErrors = [{ runId: '0123456789abcdef0', at: since, error: hostile }];
      await route.fulfill({ response, json: { ...(await response.json()), failing, lastErrors } });
    });
    const verify = /\/api\/accounts\/refused\/verify$/;
    const steps = [{ step: 'connect', status: 'failed', ms: 1, ...said }];
    const transport = { protocol: 'smtp', status: 'failed', steps };
    await page.route(verify, (route) =>
      route.fulfill({ json: { account: 'refused', status: 'failed', store: null, transport } }),
    );
    await goTo('/accounts/refused');
    await page.locator('.notice').getByText(hostile).first().waitFor();
    await page.getByText('Last errors of imports').click();
    await page.locator('details li').getByText(hostile).waitFor();
    await button('Verify').click();
    await page.locator('.steps').getByText(hostile).first().waitFor();
    await page.unroute(status);
    await page.unroute(verify);
    const quarantined = ids.quarantined[2] ?? '';
    const { account, key: row } = await quarantineKeys(mailroom, quarantined);
    await changeRow(mailroom, account, row, { reason: hostile });
    await page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'Quarantine' }).click();
    await page.getByRole('table').getByRole('link', { name: hostile }).click();
    await heading('A mail in quarantine');
    await page.locator('.notice').getByText(hostile).waitFor();
    expect(await page.locator('main img, main script').count()).toBe(0);
  });

  describe('Webhook', () => {
    it('is saved with its secret, tested, and told of what it did not take', async () => {
      await goTo('/webhook');
      await press(page, 'corpus');
      await heading('Webhook of corpus');
      await tabTo(page, 'URL');
      await page.keyboard.type('ftp://example.org');
      await press(page, 'Make a secret');
      mailroom.watch.add(await page.getByLabel('Secret', { exact: true }).inputValue());
      await press(page, 'Save');
      const url = page.getByLabel('URL', { exact: true });
      await expect.poll(() => url.getAttribute('aria-invalid')).toBe('true');
      // What was refused has stored nothing, no secret either, and nothing that was typed is lost.
      await expect((await vaultClient(mailroom)).getSecret('corpus-webhook')).rejects.toThrow('was not found');
      expect(await page.getByLabel('Secret', { exact: true }).inputValue()).not.toBe('');
      await fill({ URL: receiver.url });
      await press(page, 'Save');
      await toast('The webhook is saved.');
      await press(page, 'Send a test event');
      await says(/The receiver took the test event \(204/);
      receiver.answers(() => ({ status: 500 }));
      await button('Send a test event').click();
      await says(/The receiver did not take the test event \(500/);
      expect(await button('Send them again').getAttribute('title')).toBe('No event was given up.');
    });

    it('is removed after a question; what was given up meanwhile is sent again once it is there again', async () => {
      receiver.answers(() => ({ status: 500 }));
      const webhook = { url: receiver.url, secret: 'corpus-webhook' };
      await mailroom.secret('corpus', 'corpus-webhook', 'whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0');
      await mailroom.expect(200, 'PATCH', '/api/accounts/corpus', { body: { webhook } });
      const { id } = await send(mailroom, 'corpus');
      await receiver.got(id);
      await goTo('/webhook/corpus');
      await button('Remove the webhook').click();
      await dialogButton('Remove').click();
      await toast('The account has no webhook any more.');
      await mailroom.setClock(shiftMs + 5 * 86_400_000);
      await mailroom.fireToEnd('retention');
      receiver.answers(() => ({ status: 204 }));
      await goTo('/webhook/corpus');
      await fill({ URL: receiver.url });
      await button('Save').click();
      await page
        .getByRole('table', { name: /given up/ })
        .getByText('mailroom.message.sent')
        .waitFor();
      await page.getByRole('table', { name: /^Attempts that failed/ }).waitFor();
      await checkScreen(page, 'webhook-given-up');
      await button('Send them again').click();
      await toast('One event is sent again.');
      await receiver.got(id, receiver.about(id).length + 1);
    });
  });

  it('axe-core finds nothing on any screen, light and dark, on a phone and on a desk', {
    timeout: 240_000,
  }, async () => {
    const screens = {
      outbox: '/outbox?account=refused',
      message: `/outbox/${ids.failed}`,
      write: '/outbox/write',
      assets: '/assets',
      asset: `/assets/${ids.asset}`,
      quarantine: '/quarantine',
      quarantined: `/quarantine/${ids.quarantined[2]}`,
      webhooks: '/webhook',
      webhook: '/webhook/corpus',
    };
    for (const [name, screen] of Object.entries(screens)) {
      await goTo(screen);
      await page.getByText(/^Loading the /).waitFor({ state: 'detached' });
      await checkScreen(page, name);
    }
  });

  it('says so and goes on where it is offline, its front alone answers, or the service starts again', {
    timeout: 180_000,
  }, async () => {
    await goTo('/outbox');
    await page.getByRole('table').waitFor();
    await page.context().setOffline(true);
    await page.getByText(/This computer is offline/).waitFor();
    await checkScreen(page, 'offline');
    await page.context().setOffline(false);
    await page.getByText(/This computer is offline/).waitFor({ state: 'hidden' });
    // What stands in front of the service says that it is away.
    const calls = /\/api\/(?:messages|openapi\.json)/;
    await page.route(calls, (route) => route.fulfill(byFront));
    await button('Refresh').click();
    await page.getByText(/The service cannot be reached/).waitFor();
    await page.getByRole('table').waitFor();
    await page.unroute(calls);
    await page.getByText(/The service cannot be reached/).waitFor({ state: 'hidden' });
    await mailroom.kill();
    await button('Refresh').click();
    await page.getByText(/The service cannot be reached/).waitFor();
    await page.getByRole('table').waitFor();
    await mailroom.run();
    await page.getByText(/The service cannot be reached/).waitFor({ state: 'hidden' });
  });

  it('asks for another key where the one that it has is not taken any more, and goes on with what was typed', {
    timeout: 180_000,
  }, async () => {
    await goTo('/outbox/write');
    await fill({ To: 'kept@example.org', Subject: 'Kept' });
    key = 'another-key';
    await mailroom.kill();
    await mailroom.run();
    await button('Send').click();
    await page.getByRole('dialog', { name: 'Sign in again' }).waitFor();
    await signIn('wrong');
    await page
      .getByRole('dialog')
      .getByText(/does not accept this key/)
      .waitFor();
    await signIn(key);
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    expect(await page.getByLabel('Subject', { exact: true }).inputValue()).toBe('Kept');
    await button('Send').click();
    await heading('A mail');
  });
});

/** A mail that nobody will miss. */
const blandMail = Buffer.from(
  'From: jane@example.org\r\nSubject: Bland\r\nMessage-ID: <bland@example.org>\r\n\r\nText\r\n',
);

/** A mail with all that a hostile sender can think of, a picture of its own, and one from elsewhere. */
function hostileMail(tracker: Server): Buffer {
  const { port } = tracker.address() as AddressInfo;
  return Buffer.from(
    [
      `From: ${hostileHeader} <jane@example.org>`,
      'To: reader@example.com',
      `Subject: ${hostileHeader}`,
      'Message-ID: <hostile@example.org>',
      'Date: Thu, 01 Jan 2026 10:00:00 +0100',
      'MIME-Version: 1.0',
      'Content-Type: multipart/related; boundary=b',
      '',
      '--b',
      'Content-Type: text/html; charset=utf-8',
      '',
      '<p style="color: #800">The body of the mail</p><img src="cid:dot">',
      `<img src="http://127.0.0.1:${port}/read"><script>noteStrange(7)</script><img src=x onerror="noteStrange(8)">`,
      '<a href="javascript:noteStrange(9)">a</a><form action="/hostile"><button>b</button></form><svg onload="noteStrange(10)"></svg>',
      '<iframe src="/hostile"></iframe><style>@import "/hostile"</style><meta http-equiv="refresh" content="0;/hostile">',
      '--b',
      'Content-Type: image/gif; name=dot.gif',
      'Content-ID: <dot>',
      'Content-Transfer-Encoding: base64',
      '',
      'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7',
      '--b',
      'Content-Type: text/html; name="attack<img src=x onerror=noteStrange(11)>.html"',
      'Content-Disposition: attachment; filename="attack<img src=x onerror=noteStrange(11)>.html"',
      '',
      '<script>noteStrange(6)</script>',
      '--b--',
      '',
    ].join('\r\n'),
  );
}

async function bytesOf(download: Download): Promise<Buffer> {
  return await readFile(await download.path());
}
