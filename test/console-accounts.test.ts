import type { Browser, Locator, Page, Route } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SmtpSink, startSmtpSink } from '../local/smtp-sink.ts';
import { chromiumMissing, startBrowser } from './support/browser.ts';
import { byFront, type ConsoleTab, checkScreen, openConsole, press, tabTo } from './support/console-page.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { signInOn, startEasyAuth } from './support/easy-auth.ts';
import { graphAccount } from './support/graph-account.ts';
import { deliverAll } from './support/imap-account.ts';
import { closedPort } from './support/imap-fixture.ts';
import { Mailroom, singleFunctionKeys } from './support/mailroom.ts';
import { startPauseProxy } from './support/pause-proxy.ts';
import { startScriptedSmtp } from './support/scripted-smtp.ts';

/** The console in a real browser, against the running service with real mail servers. */

const hostile = `<img src=x onerror=alert(1)><script>alert(2)</script>"'&`;
const hostileFolder = '<img src=x onerror=alert(3)>';
const password = 'password of tester';

let mailroom: Mailroom;
let server: Dovecot;
let sink: SmtpSink;
let browser: Browser;
const hostKey = 'test-function-key';

beforeAll(async () => {
  expect(await chromiumMissing()).toBeUndefined();
  [server, sink, browser] = await Promise.all([
    startDovecot({ users: { tester: password, many: password } }),
    startSmtpSink(),
    startBrowser(),
  ]);
  const ready = [
    { name: 'ready', title: 'A ready mailbox', account: accountOf('ready'), secrets: { 'ready-imap': password } },
  ];
  mailroom = await Mailroom.start({
    env: () => ({ LOCAL_READY_MAILBOXES: JSON.stringify(ready) }),
    graph: [{ userPrincipalName: 'pushed@example.com' }],
  });
  mailroom.watch.add(password);
  await server.deliver('tester', mail('A first mail', 1));
  await server.deliver('tester', mail('A kept mail', 2), { folder: 'Archive' });
});

afterAll(async () => {
  await browser?.close();
  await mailroom?.stop();
  await sink?.stop();
  await server?.remove();
});

function mail(subject: string, n: number): string {
  const lines = [`From: Jane <jane@example.org>`, 'To: corpus@example.com', `Subject: ${subject}`];
  return [...lines, `Message-ID: <${n}@example.org>`, '', 'Hello.', ''].join('\r\n');
}

function numbered(n: number): string {
  const lines = ['From: jane@example.org', `Subject: Numbered ${n}`, `Message-ID: <numbered-${n}@example.org>`];
  return [...lines, '', `The body of ${n}.`, ''].join('\r\n');
}

/** An account that imports from the Dovecot. */
function accountOf(name: string) {
  return {
    from: `${JSON.stringify(hostile)} <${name}@example.com>`,
    transport: { protocol: 'smtp', host: '127.0.0.1', port: sink.port, tls: { starttls: 'never' } },
    store: {
      protocol: 'imap',
      host: '127.0.0.1',
      port: server.ports.imap,
      tls: { starttls: 'never' },
      auth: { type: 'password', user: 'tester', secret: `${name}-imap` },
    },
    import: { schedule: null },
  };
}

/** The same, made beside the console, or as it was at first. */
async function makeAccount(name: string): Promise<void> {
  await mailroom.expect([200, 201], 'PUT', `/api/accounts/${name}`, { body: accountOf(name) });
  await mailroom.secret(name, `${name}-imap`, password);
}

const button = (page: Page | Locator, name: string) => page.getByRole('button', { name, exact: true });
const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name, exact: true });
const field = (page: Page | Locator, name: string | RegExp) => page.getByLabel(name, { exact: true });

/** Of an element in the page. */
interface InPage {
  readonly ariaDescribedByElements: readonly { readonly id: string; readonly textContent: string }[] | null;
  readonly ownerDocument: { readonly activeElement: unknown };
}

/** What stands below a field as its mistake: read at one time, since it may go between two looks. */
const mistakeOf = (of: Locator): Promise<string> =>
  of.evaluate(
    (field: InPage) => field.ariaDescribedByElements?.find(({ id }) => id.endsWith('-wrong'))?.textContent ?? '',
  );

const hasFocus = (of: Locator): Promise<boolean> =>
  of.evaluate((element: InPage) => element.ownerDocument.activeElement === element);

/** The tab of whoever may do everything: most tests begin in it, with another address. */
let everyday: ConsoleTab | undefined;

async function inTab(path: string, task: (tab: ConsoleTab) => Promise<void>): Promise<void> {
  everyday ??= await openConsole(browser, mailroom, '/accounts');
  const { page } = everyday;
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(`${mailroom.url}/api/console${path}`);
  try {
    await task(everyday);
    await everyday.checkCalm();
  } catch (error) {
    // What is left open in it is not the next test's.
    await everyday.close();
    everyday = undefined;
    throw error;
  }
}

/** A tab of its own, with another key or none. */
async function inTabWith(key: string | null, path: string, task: (tab: ConsoleTab) => Promise<void>): Promise<void> {
  const tab = await openConsole(browser, mailroom, path, { key });
  try {
    await task(tab);
    await tab.checkCalm();
  } finally {
    await tab.close();
  }
}

describe('the first minute', () => {
  it('from a wrong key to imported mail, with every mistake told beside its field', { timeout: 240_000 }, async () => {
    await inTabWith(null, '', async ({ page }) => {
      const signIn = page.getByRole('dialog');
      await field(signIn, 'Function key').fill('wrong-key');
      await button(signIn, 'Sign in').click();
      await expect.poll(() => mistakeOf(field(signIn, 'Function key'))).toContain('does not accept');
      expect(await field(signIn, 'Function key').inputValue()).toBe('wrong-key');
      await checkScreen(page, 'sign-in');
      // It stays until somebody has signed in, whatever is pressed.
      for (let presses = 0; presses < 3; presses += 1) await page.keyboard.press('Escape');
      await field(signIn, 'Function key').fill(hostKey);
      await field(signIn, 'Function key').press('Enter');

      await page.getByRole('heading', { name: 'Connect your first mailbox' }).waitFor();
      await checkScreen(page, 'accounts-empty');
      await page.getByRole('link', { name: /^IMAP and SMTP/ }).click();
      await heading(page, 'Connect a mailbox').waitFor();
      await field(page, 'Address').fill('Corpus <corpus@example.com>');
      const importing = page.getByRole('group', { name: 'Importing' });
      const sending = page.getByRole('group', { name: 'Sending' });
      await field(importing, 'Imports by').selectOption('imap');
      await field(importing, 'Host').fill('127.0.0.1');
      const closed = await closedPort();
      await field(importing, 'Port').fill(String(closed));
      await field(importing, 'Encryption (STARTTLS)').selectOption('never');
      await field(importing, 'User').fill('tester');
      await field(importing, 'Password').fill('wrong password');
      await field(page, 'Sending signs in as importing does').uncheck();
      await field(sending, 'Sends by').selectOption('smtp');
      await field(sending, 'Host').fill('127.0.0.1');
      await field(sending, 'Port').fill(String(sink.port));
      await field(sending, 'Encryption (STARTTLS)').selectOption('never');
      await field(sending, 'Sign-in').selectOption('none');

      // A wrong port, then a wrong password: each hint where it can be mended, and nothing that was typed is lost.
      await expect.poll(() => mistakeOf(field(importing, 'Port'))).toMatch(/port/i);
      await field(importing, 'Port').fill(String(server.ports.imap));
      await expect.poll(() => mistakeOf(field(importing, 'Password'))).toMatch(/password/i);
      expect(await mistakeOf(field(importing, 'Port'))).toBe('');
      await checkScreen(page, 'connect-wrong-password');
      await field(importing, 'Password').fill(password);
      await field(importing, 'The password ends').fill('2036-05-06T07:08');
      await expect.poll(() => page.getByRole('status').filter({ hasText: 'Sending: works' }).count()).toBe(1);
      await expect.poll(() => mistakeOf(field(importing, 'Password'))).toBe('');
      // Nothing is stored by trying.
      expect((await mailroom.call('GET', '/api/accounts/corpus')).status).toBe(404);

      await button(page, 'Save and choose folders').click();
      await heading(page, 'Import of corpus').waitFor();
      await field(page, /^Archive/).check();
      // Kept while somebody looks at another screen; ticked back, nothing is lost.
      await page.getByRole('link', { name: 'Figures' }).click();
      await heading(page, 'Figures').waitFor();
      await page.goBack();
      await field(page, /^Archive/).waitFor();
      expect(await field(page, /^Archive/).isChecked()).toBe(true);
      await button(page, 'Save the folders').click();
      await page.getByText('The folders are saved').waitFor();
      await button(page, 'Try without changing anything').click();
      await page.getByText('2 mails: 2 to import.').waitFor();
      await page.getByRole('row', { name: /A first mail.*INBOX.*mark read/ }).waitFor();
      await checkScreen(page, 'import');
      await button(page, 'Turn importing on').click();

      await heading(page, 'corpus').waitFor();
      await button(page, 'Import now').click();
      await page.getByText(/^Imported\. 2 new/).waitFor();
      // The charts have it at once.
      const today = page.getByRole('figure', { name: 'Mails a day' }).locator('.numbers tbody tr').first();
      await expect.poll(() => today.locator('[data-name=imported]').textContent()).toBe('2');
      await checkScreen(page, 'account-new');
      const { json } = await mailroom.expect(200, 'GET', '/api/accounts/corpus');
      expect([json.import.schedule, json.store.folders]).toEqual(['0 */5 * * * *', ['INBOX', 'Archive']]);
      const status = await mailroom.expect(200, 'GET', '/api/accounts/corpus/status');
      // The reader is in India.
      expect(status.json.secrets).toMatchObject([{ expiresAt: '2036-05-06T01:38:00.000Z' }]);
      expect(await page.evaluate('location.href + document.cookie')).not.toContain(hostKey);
    });
  });

  it('passwords that are filled in at once, as password managers do, are all kept', async () => {
    await inTab('/connect?kind=imap', async ({ page }) => {
      await field(page, 'Sending signs in as importing does').uncheck();
      const passwords = ['Importing', 'Sending'].map((side) =>
        field(page.getByRole('group', { name: side }), 'Password'),
      );
      await passwords[1]?.waitFor();
      await page.evaluate(`
        for (const [n, input] of document.querySelectorAll('fieldset input[type=password]').entries()) {
          input.value = 'password ' + n;
          input.dispatchEvent(new Event('input', { bubbles: true }));
        }`);
      // A change of another field draws all of them anew, by what was kept.
      await field(page, 'Address').fill('corpus@example.com');
      expect(await Promise.all(passwords.map((each) => each.inputValue()))).toEqual(['password 0', 'password 1']);
    });
  });

  it('what is found wrong while somebody types takes the focus from no field', async () => {
    await inTab('/connect?kind=imap', async ({ page }) => {
      const importing = page.getByRole('group', { name: 'Importing' });
      const sending = page.getByRole('group', { name: 'Sending' });
      await field(page, 'Address').fill('corpus@example.com');
      await field(importing, 'Host').fill('127.0.0.1');
      await field(importing, 'Port').fill('99999');
      await field(importing, 'Password').fill(password);
      await field(sending, 'Host').fill('127.0.0.1');
      await field(sending, 'Port').focus();
      await expect.poll(() => mistakeOf(field(importing, 'Port'))).toContain('65535');
      // The focus would move with the next frame.
      await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
      expect(await hasFocus(field(sending, 'Port'))).toBe(true);
      // Whoever saves it is brought there.
      await button(page, 'Save and choose folders').click();
      await expect.poll(() => hasFocus(field(importing, 'Port'))).toBe(true);
      // What was refused is said until something else is typed.
      await field(importing, 'Port').fill(String(await closedPort()));
      await expect.poll(() => page.getByText('The request has mistakes.').count()).toBe(0);
    });
  });

  it('a wrong port and a wrong password of POP3 and of SMTP are told beside their fields', async () => {
    const plain = Buffer.from(`\0tester\0${password}`).toString('base64');
    const smtp = await startScriptedSmtp({
      extensions: ['AUTH PLAIN'],
      answer: (step, line) => (step === 'AUTH' && !line.includes(plain) ? '535 5.7.8 no' : undefined),
    });
    try {
      await inTab('/connect?kind=pop3', async ({ page }) => {
        await field(page, 'Address').fill('pop@example.com');
        await field(page, 'Sending signs in as importing does').uncheck();
        const sides = [
          {
            side: page.getByRole('group', { name: 'Importing' }),
            by: 'Imports by',
            name: 'pop3',
            port: server.ports.pop3,
          },
          { side: page.getByRole('group', { name: 'Sending' }), by: 'Sends by', name: 'smtp', port: smtp.port },
        ];
        const closed = await closedPort();
        for (const { side, by, name } of sides) {
          await field(side, by).selectOption(name);
          await field(side, 'Host').fill('127.0.0.1');
          await field(side, 'Port').fill(String(closed));
          await field(side, 'Encryption (STARTTLS)').selectOption('never');
          await field(side, 'User').fill('tester');
          await field(side, 'Password').fill('wrong password');
        }
        for (const { side } of sides) await expect.poll(() => mistakeOf(field(side, 'Port'))).toMatch(/port/i);
        for (const { side, port } of sides) await field(side, 'Port').fill(String(port));
        for (const { side } of sides) {
          await expect.poll(() => mistakeOf(field(side, 'Password'))).toMatch(/password|secret/i);
          expect(await mistakeOf(field(side, 'Port'))).toBe('');
          await field(side, 'Password').fill(password);
        }
        const found = page.getByRole('status').filter({ hasText: 'Sending: works' });
        await found.filter({ hasText: 'Importing: works' }).waitFor();
      });
    } finally {
      await smtp.stop();
    }
  });

  it('a mailbox that the installation offers is connected with one click', { timeout: 180_000 }, async () => {
    await inTab('/connect', async ({ page }) => {
      await press(page, 'A ready mailbox');
      await heading(page, 'Import of ready').waitFor();
      await press(page, 'Try without changing anything');
      await page.getByText(/^1 mail: 1 to import/).waitFor();
    });
    expect((await mailroom.expect(200, 'GET', '/api/accounts/ready')).json.store.port).toBe(server.ports.imap);
  });

  it('properties are told one by one while they are pasted, and saved with their password', async () => {
    await inTab('/connect?kind=properties', async ({ page }) => {
      await tabTo(page, 'Name of the account');
      await page.keyboard.type('pasted');
      await tabTo(page, 'Properties');
      const propertiesWith = (secret: string) =>
        [
          'mail.store.protocol=imap',
          'mail.imap.host=127.0.0.1',
          `mail.imap.port=${server.ports.imap}`,
          'mail.imap.starttls.enable=false',
          'mail.imap.user=tester',
          `mail.imap.password=${secret}`,
          'mail.from=pasted@example.com',
          'mail.server=old',
        ].join('\n');
      await page.keyboard.insertText(propertiesWith('wrong'));
      // Whether they work is told before anything is saved.
      const found = page.getByRole('status').filter({ hasText: 'Importing: failed' });
      await found.getByText(/Check .*password/).waitFor();
      await page.keyboard.press('ControlOrMeta+A');
      await page.keyboard.insertText(propertiesWith(password));
      await page.getByRole('status').filter({ hasText: 'Importing: works' }).waitFor();
      expect((await mailroom.call('GET', '/api/accounts/pasted')).status).toBe(404);
      await page.getByRole('row', { name: /mail\.server ignored/ }).waitFor();
      await page.getByRole('row', { name: /mail\.imap\.starttls\.enable used, insecure/ }).waitFor();
      await checkScreen(page, 'connect-properties');
      await press(page, 'Save and choose folders');
      await heading(page, 'Import of pasted').waitFor();
      const { json } = await mailroom.expect(200, 'GET', '/api/accounts/pasted');
      expect(json.import.schedule).toBeNull();
      await field(page, /^Archive/).waitFor();
      await tabTo(page, /^Archive/);
      await page.keyboard.press('Space');
      await press(page, 'Save the folders');
      await page.getByText('The folders are saved').waitFor();
      await press(page, 'Turn importing on');
      await heading(page, 'pasted').waitFor();
    });
  });
});

describe('an account', () => {
  it('a folder that is not there is told by verify, and mended by ticks', { timeout: 180_000 }, async () => {
    await makeAccount('folders');
    await mailroom.expect(200, 'PATCH', '/api/accounts/folders', {
      body: { store: { folders: ['Nowhere'] }, import: { schedule: '0 0 4 * * *' } },
    });
    await inTab('/accounts/folders', async ({ page }) => {
      await button(page, 'Verify').click();
      const step = page.getByRole('listitem').filter({ hasText: 'Open the folders' });
      await step.getByText('failed').waitFor();
      expect(await step.textContent()).toContain('The folders there are: "INBOX"');
      await page.getByRole('link', { name: 'Folders and dry run' }).click();
      await field(page, /^INBOX/).check();
      await button(page, 'Save the folders').click();
      await page.getByText('The folders are saved').waitFor();
      // The folder that is not there is gone.
      const { json } = await mailroom.expect(200, 'GET', '/api/accounts/folders');
      expect(json.store.folders).toEqual(['INBOX']);
      // A schedule of somebody's own is not lost by turning it off.
      await button(page, 'Turn importing off').click();
      await button(page, 'Undo').click();
      await page.getByText('Importing is on: 0 0 4 * * *').waitFor();
    });
  });

  it('is disabled and enabled again, changed, and deleted after a question', { timeout: 180_000 }, async () => {
    await makeAccount('changed');
    const stored = async () => (await mailroom.call('GET', '/api/accounts/changed')).json;
    await inTab('/accounts/changed', async ({ page }) => {
      await button(page, 'Disable').click();
      await button(page, 'Undo').click();
      await page.getByText('changed is enabled').waitFor();
      expect((await stored()).enabled).toBe(true);
      await page.getByRole('link', { name: 'Settings' }).click();
      await field(page, 'Sender').fill('not an address');
      await button(page, 'Save').click();
      await expect.poll(() => mistakeOf(field(page, 'Sender'))).not.toBe('');
      expect(await field(page, 'Sender').inputValue()).toBe('not an address');
      // It stays while somebody looks at another screen.
      await page.getByRole('link', { name: 'Figures' }).click();
      await heading(page, 'Figures').waitFor();
      await page.goBack();
      expect(await field(page, 'Sender').inputValue()).toBe('not an address');
      // It is not lost without a question.
      await button(page, 'Leave it as it was').click();
      await button(page.getByRole('dialog'), 'Keep it').click();
      expect(await field(page, 'Sender').inputValue()).toBe('not an address');
      await button(page, 'Leave it as it was').click();
      await button(page.getByRole('dialog'), 'Leave it').click();
      await heading(page, 'changed').waitFor();
      await page.getByRole('link', { name: 'Settings' }).click();
      expect(await field(page, 'Sender').inputValue()).toBe(accountOf('changed').from);
      await field(page, 'Sender').fill('Changed <changed@example.com>');
      await field(page, 'The original').selectOption('afterDays');
      await field(page, 'Days').fill('7');
      await field(page, 'A deleted original').selectOption('trash');
      await field(page, 'Largest mail, in MiB').fill('25');
      await field(page, 'Bounces go to').fill('bounces@example.com');
      await field(page, 'Mail to import').selectOption('now');
      await field(page, 'Mails sent a minute').fill('9');
      await field(page, 'Connections at a time').fill('2');
      await field(page, 'Log the dialogue with its servers for an hour').check();
      const importing = page.getByRole('group', { name: 'Importing' });
      const sending = page.getByRole('group', { name: 'Sending' });
      await importing.getByText('Certificates and version of TLS').click();
      await field(importing, 'Hosts whose certificate is not checked').pressSequentially('127.0.0.1 mail.example.com');
      await field(importing, 'Oldest version of TLS').selectOption('TLSv1.3');
      await importing.getByText('Time limits and ways to sign in').click();
      await field(importing, 'Seconds to connect in').fill('2.5');
      await field(importing, 'Seconds to wait for each answer').fill('');
      await field(importing, 'Ways to send the password').pressSequentially('login plain');
      await field(sending, 'Put a copy of each mail into the folder for sent mail').check();
      await sending.getByText('Time limits, ways to sign in, delivery notices').click();
      await field(sending, 'Name to greet the server with').fill('mailroom.example.com');
      await field(sending, 'Delivery notices').selectOption('some');
      await field(sending, 'A notice where it is late').check();
      await field(sending, 'A notice brings back of the mail').selectOption('headers');
      await press(page, 'Save');
      await heading(page, 'changed').waitFor();
      expect(await stored()).toMatchObject({
        from: 'Changed <changed@example.com>',
        sender: 'bounces@example.com',
        import: { delete: { afterDays: 7 }, deleteMode: 'trash', maxMessageSize: 25 * 1024 * 1024, since: 'now' },
        limits: { perMinute: 9, connections: 2 },
        store: {
          tls: { trust: ['127.0.0.1', 'mail.example.com'], minVersion: 'TLSv1.3' },
          connectionTimeout: 2_500,
          timeout: 60_000,
          auth: { mechanisms: ['LOGIN', 'PLAIN'] },
        },
        transport: {
          saveToSent: true,
          heloName: 'mailroom.example.com',
          dsn: { notify: ['failure', 'delay'], ret: 'headers' },
        },
        debug: true,
      });
      // Another protocol knows nothing of greetings and notices: they go, and server and sign-in stay.
      await page.getByRole('link', { name: 'Settings' }).click();
      await field(sending, 'Sends by').selectOption('imap');
      await field(sending, 'Port').fill(String(server.ports.imap));
      await field(sending, 'Folder that mail is put into').fill('Archive');
      await press(page, 'Save');
      await heading(page, 'changed').waitFor();
      expect((await stored()).transport).toMatchObject({ protocol: 'imap', host: '127.0.0.1', folder: 'Archive' });
      await button(page, 'Delete').click();
      await checkScreen(page, 'account-delete');
      await button(page.getByRole('dialog'), 'Keep it').click();
      expect((await stored()).name).toBe('changed');
      await button(page, 'Delete').click();
      await field(page, 'Delete its secrets in Key Vault as well').check();
      await button(page.getByRole('dialog'), 'Delete').click();
      await heading(page, 'Accounts').waitFor();
      expect((await mailroom.call('GET', '/api/accounts/changed')).status).toBe(404);
    });
  });

  it('keyboard alone: from the list to verify, and out of a dialog', { timeout: 180_000 }, async () => {
    await makeAccount('shown');
    await inTab('/accounts', async ({ page }) => {
      await page.getByRole('link', { name: 'shown', exact: true }).waitFor();
      const focused = () => page.evaluate('document.activeElement?.textContent?.trim() ?? ""');
      const tabTo = async (text: string) => {
        for (let presses = 0; presses < 60 && (await focused()) !== text; presses += 1)
          await page.keyboard.press('Tab');
        expect(await focused()).toBe(text);
      };
      await page.keyboard.press('Tab');
      expect(await focused()).toBe('Skip to the content');
      await tabTo('shown');
      await page.keyboard.press('Enter');
      await heading(page, 'shown').waitFor();
      await expect.poll(focused).toBe('shown');
      await tabTo('Verify');
      await page.keyboard.press('Enter');
      await page.getByText('Sending: works').waitFor();
      await page.keyboard.press('Shift+Tab');
      for (let presses = 0; presses < 20 && (await focused()) !== 'Delete'; presses += 1)
        await page.keyboard.press('Shift+Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      await expect.poll(focused).toBe('Delete');
      await page.goBack();
      await heading(page, 'Accounts').waitFor();
    });
  });

  it('every screen is for everybody: light, dark, narrow and wide', { timeout: 180_000 }, async () => {
    await makeAccount('shown');
    await inTab('/accounts', async ({ page }) => {
      for (const [path, title, name] of [
        ['/accounts', 'Accounts', 'accounts'],
        ['/accounts/shown', 'shown', 'account'],
        ['/accounts/shown/settings', 'Settings of shown', 'settings'],
        ['/connect?kind=microsoft365', 'Connect a mailbox', 'connect-microsoft365'],
        ['/figures', 'Figures', 'figures'],
        ['/nothing/here', 'There is no such screen', 'no-such-screen'],
      ] as const) {
        await page.goto(`${mailroom.url}/api/console${path}`);
        await heading(page, title).waitFor();
        await expect.poll(() => page.getByText(/^Loading/).count()).toBe(0);
        // What is closed until somebody asks for it too.
        await page.evaluate('for (const each of document.querySelectorAll("details")) each.open = true');
        await checkScreen(page, name);
      }
    });
  });

  it('has charts of 30 days, with their numbers as a table for the keyboard', async () => {
    await makeAccount('shown');
    await mailroom.import('shown');
    // Counts what the import has left.
    await mailroom.fireToEnd('retention');
    await inTab('/figures', async ({ page }) => {
      for (const title of ['Mails a day', 'Trouble a day', 'Left to import', 'Seconds until sent']) {
        await press(page, `${title} in numbers`);
        const figure = page.getByRole('figure', { name: title });
        await figure.locator('canvas').waitFor();
        expect(await figure.getByRole('table').locator('tbody tr:visible').count()).toBe(30);
      }
      const backlog = page.getByRole('figure', { name: 'Left to import' }).getByRole('cell');
      expect(await backlog.allTextContents()).toEqual(['0', ...Array(29).fill('–')]);
    });
  });

  it('says whether Microsoft Graph tells of its new mail, and is told not to', async () => {
    await graphAccount(mailroom, 'pushed', { user: 'pushed@example.com', push: true });
    await inTab('/accounts/pushed', async ({ page }) => {
      await page.getByText(/Microsoft Graph does not tell of new mail in inbox/).waitFor();
      await page.getByRole('link', { name: 'Settings' }).click();
      await field(page, 'Import new mail as soon as Microsoft Graph tells of it').uncheck();
      const sending = page.getByRole('group', { name: 'Sending' });
      await sending.getByText('Cloud, and how mail is handed over').click();
      await field(sending, 'Mail is handed over').selectOption('direct');
      await press(page, 'Save');
      await heading(page, 'pushed').waitFor();
      const { json } = await mailroom.expect(200, 'GET', '/api/accounts/pushed');
      expect([json.store.push, json.transport.sendMode, json.import.deleteMode]).toEqual([false, 'direct', 'trash']);
    });
  });

  it('says how far a dry run and an import of many mails are, and shows a part of a long list', async () => {
    const count = process.env.SOAK ? 1_000 : 60;
    const many = Array.from({ length: count }, (_, n) => ({ bytes: Buffer.from(numbered(n + 1)) }));
    await deliverAll(server, many, { user: 'many' });
    const proxy = await startPauseProxy({ host: '127.0.0.1', port: server.ports.imap });
    try {
      const { transport: _, ...account } = accountOf('many');
      const store = { ...account.store, port: proxy.port, auth: { ...account.store.auth, user: 'many' } };
      await mailroom.expect(201, 'PUT', '/api/accounts/many', { body: { ...account, store } });
      await mailroom.secret('many', 'many-imap', password);
      await inTab('/accounts/many/import', async ({ page }) => {
        let paused = proxy.pauseAt('Numbered 40');
        await button(page, 'Try without changing anything').click();
        await paused;
        await page.getByText(/^Going through the mailbox … \d+ s/).waitFor();
        proxy.resume();
        await page.getByText(`${count} mails: ${count} to import.`).waitFor();
        const rows = page.getByRole('table').locator('tbody tr');
        expect(await rows.count()).toBe(50);
        await button(page, 'After').click();
        await page.getByText(`51–${Math.min(100, count)} of ${count}`).waitFor();
        expect(await rows.count()).toBe(Math.min(50, count - 50));

        await page.goto(`${mailroom.url}/api/console/accounts/many`);
        paused = proxy.pauseAt('The body of 40.');
        await button(page, 'Import now').click();
        await paused;
        // A page of 23 mails is in, and the next one is on its way.
        const underWay = page.getByText(/^Importing … 23 new/);
        await underWay.waitFor();
        // Whoever comes back, or comes later, sees it as well.
        await page.getByRole('link', { name: 'Accounts', exact: true }).first().click();
        await page.getByRole('link', { name: 'many', exact: true }).click();
        await underWay.waitFor();
        proxy.resume();
        await page.getByText(new RegExp(`^Imported\\. ${count} new`)).waitFor();
      });
    } finally {
      await proxy.stop();
    }
  });
});

it('every action has something to see before the service answers, and says so where no answer comes', {
  timeout: 180_000,
}, async () => {
  await makeAccount('shown');
  await inTab('/accounts/shown', async ({ page }) => {
    let held: Route[] = [];
    const calls = /\/api\/(?!console\/)/;
    await page.route(calls, (route) => {
      if (route.request().method() === 'GET') return route.continue();
      held.push(route);
      return undefined;
    });
    const actions = [
      ['/accounts/shown', ['Verify', 'Try waiting mail now', 'Import now', 'Disable']],
      ['/accounts/shown/settings', ['Save']],
      ['/accounts/shown/import', ['Try without changing anything', 'Turn importing on']],
      ['/outbox/write', ['Send']],
      ['/outbox?account=shown', ['Try all waiting mail of shown now']],
      ['/webhook/shown', ['Save']],
    ] as const;
    for (const [path, names] of actions) {
      await page.goto(`${mailroom.url}/api/console${path}`);
      for (const name of names) {
        const pressed = button(page, name);
        await pressed.click();
        await expect.poll(() => pressed.getAttribute('aria-busy')).toBe('true');
        expect(await pressed.locator('.spinner').count(), name).toBe(1);
        await expect.poll(() => held.length).toBeGreaterThan(0);
        const lost = held;
        held = [];
        for (const route of lost) await route.abort('connectionreset');
        await page
          .getByText(/did not answer/)
          .first()
          .waitFor();
        await expect.poll(() => pressed.getAttribute('aria-busy')).toBe('false');
      }
    }
    await page.unroute(calls);
    // A screen too: its heading and what it waits for are there before its list.
    await page.route(calls, (route) => void held.push(route));
    for (const name of ['Accounts', 'Outbox', 'Assets', 'Quarantine', 'Webhooks', 'Figures']) {
      await page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name }).click();
      await heading(page, name).waitFor();
      await page
        .locator('main')
        .getByText(/^Loading/)
        .first()
        .waitFor();
    }
    await page.unroute(calls);
    for (const route of held) await route.abort().catch(() => undefined);
  });
  expect((await mailroom.expect(200, 'GET', '/api/accounts/shown')).json.enabled).toBe(true);
});

it('a screen that cannot be loaded says so, and is loaded by its button or by the next navigation', async () => {
  await inTab('/accounts', async ({ page }) => {
    const lead = (name: string) =>
      page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name, exact: true }).click();
    const files = /\/console\/files\/(?:figures|quarantine)-/;
    await page.route(files, (route) => route.abort('connectionreset'));
    await lead('Figures');
    await heading(page, 'This screen could not be loaded').waitFor();
    await checkScreen(page, 'not-loaded');
    await button(page, 'Load it again').click();
    await page.getByText('It could not be loaded this time either.').waitFor();
    await lead('Quarantine');
    await expect.poll(() => page.evaluate('location.pathname')).toContain('/quarantine');
    await heading(page, 'This screen could not be loaded').waitFor();
    await page.unroute(files);
    await button(page, 'Load it again').click();
    await heading(page, 'Quarantine').waitFor();
    await lead('Figures');
    await heading(page, 'Figures').waitFor();
  });
});

it('hosts and ports of well-known providers are filled in', async () => {
  await inTab('/connect?kind=imap', async ({ page }) => {
    const ends = async () =>
      await Promise.all(
        ['Importing', 'Sending'].flatMap((name) =>
          ['Host', 'Port'].map((label) => field(page.getByRole('group', { name }), label).inputValue()),
        ),
      );
    await field(page, 'Address').fill('Jane <jane@gmx.de>');
    expect(await ends()).toEqual(['imap.gmx.net', '993', 'mail.gmx.net', '587']);
    await page.getByRole('link', { name: /^Gmail/ }).click();
    await field(page, 'Address').fill('jane@gmail.com');
    expect(await ends()).toEqual(['imap.gmail.com', '993', 'smtp.gmail.com', '465']);
    await page.getByRole('link', { name: /^POP3/ }).click();
    await page.getByRole('group', { name: 'Importing' }).getByText('Imports by').waitFor();
    expect((await ends()).filter((_, n) => n % 2 === 1)).toEqual(['995', '465']);
  });
});

it('the page of the routes tries one out, with nothing from elsewhere', { timeout: 180_000 }, async () => {
  await inTab('/accounts', async ({ page }) => {
    await page.goto(`${mailroom.url}/api/docs`);
    const health = page.locator('.opblock', { hasText: '/health' }).first();
    await health.locator('.opblock-summary-control').click();
    await health.getByRole('button', { name: 'Execute' }).click();
    await health.locator('.live-responses-table .response-col_status', { hasText: '200' }).first().waitFor();
  });
});

describe('hostile names', () => {
  it('of accounts, folders and subjects are shown as they are, and do nothing', { timeout: 180_000 }, async () => {
    await server.deliver('tester', mail(hostile, 3), { folder: hostileFolder });
    await makeAccount('hostile');
    const fetch = (folder: string) =>
      mailroom.expect(200, 'PATCH', '/api/accounts/hostile', { body: { store: { folders: [folder] } } });
    await fetch('Nowhere');
    await inTab('/accounts', async ({ page }) => {
      await page.getByText('<img src=x onerror=alert(1)>').first().waitFor();
      // Names that did not come are asked for again by the next look at the field.
      const names = /\/api\/accounts\?top=1000$/;
      await page.route(names, (route) => route.abort('connectionreset'), { times: 1 });
      const lost = page.waitForEvent('requestfailed');
      await field(page, 'Name of an account').focus();
      await lost;
      await button(page, 'Open').focus();
      await field(page, 'Name of an account').fill('hostile');
      await page.locator('datalist option[value=hostile]').waitFor({ state: 'attached' });
      await page.keyboard.press('Enter');
      await heading(page, 'hostile').waitFor();
      await page.getByText('<img src=x onerror=alert(1)>').first().waitFor();
      // The server's folders are named in what verify says.
      await button(page, 'Verify').click();
      await page.getByRole('listitem').getByText(hostileFolder).waitFor();
      await fetch(hostileFolder);
      await page.getByRole('link', { name: 'Folders and dry run' }).click();
      await page.getByText(hostileFolder).first().waitFor();
      await button(page, 'Try without changing anything').click();
      await page.getByRole('row', { name: hostile }).waitFor();
      await checkScreen(page, 'hostile');
      expect(await page.locator('img, script:not([src])').count()).toBe(0);
    });
  });

  it('in an address lead nowhere', async () => {
    await inTab('/accounts', async ({ page }) => {
      for (const path of [
        '/accounts/%3Cscript%3Ealert(1)%3C%2Fscript%3E',
        '/connect?kind=%22%3E%3Cimg%20src%3Dx%3E',
        '//evil.example/',
      ]) {
        await page.goto(`${mailroom.url}/api/console${path}`);
        await page.getByRole('heading', { level: 1 }).waitFor();
        expect(new URL(page.url()).origin).toBe(mailroom.url);
      }
    });
  });
});

describe('whoever may not do everything', () => {
  it('sees what a key of one function does not do, grey, with the reason', { timeout: 180_000 }, async () => {
    await makeAccount('shown');
    await inTabWith(singleFunctionKeys['accounts-list'], '/connect?kind=imap', async ({ page }) => {
      await isGrey(page, 'Save and choose folders', 'does not open the function account-put');
      await page.goto(`${mailroom.url}/api/console/outbox/write`);
      await isGrey(page, 'Send', 'does not open the function account-messages-send');
      // A screen that it does not open says so, and one that it opens is there.
      await page.goto(`${mailroom.url}/api/console/outbox`);
      await page.getByText('The service does not accept this key here.').waitFor();
      await page.goto(`${mailroom.url}/api/console/accounts`);
      await page.getByRole('link', { name: 'shown', exact: true }).waitFor();
    });
  });

  it('signs in with a key of sending alone, and sends with it', { timeout: 180_000 }, async () => {
    await makeAccount('shown');
    await inTabWith(null, '/accounts', async ({ page }) => {
      const signIn = page.getByRole('dialog');
      await field(signIn, 'Function key').fill(singleFunctionKeys['account-messages-send']);
      await button(signIn, 'Sign in').click();
      await signIn.waitFor({ state: 'hidden' });
      await page.getByText('The service does not accept this key here.').waitFor();
      await page.getByRole('link', { name: 'Outbox', exact: true }).click();
      await page.getByRole('link', { name: 'Write a mail' }).click();
      await field(page, 'Account').fill('shown');
      await field(page, 'To').fill('by-one-key@example.org');
      await button(page, 'Send').click();
      await heading(page, 'A mail').waitFor();
      await sink.waitFor(({ to }) => to.includes('by-one-key@example.org'), { timeout: 60_000 });
    });
  });

  it('signs in with Entra ID in front, and what the roles do not allow is grey', { timeout: 180_000 }, async () => {
    await makeAccount('shown');
    const beside = await mailroom.beside({ env: signInOn });
    const front = await startEasyAuth(beside.url);
    const tab = await openConsole(browser, front, '/accounts/shown?from=a-link', { key: null });
    const { page } = tab;
    const goTo = (path: string) => page.goto(`${front.url}/api/console${path}`);
    const signIn = page.getByRole('dialog').getByRole('link', { name: 'Sign in', exact: true });
    const firstCall = /\/api\/accounts\?may=/;
    const unreachable = page.getByText(/^The service cannot be reached/);
    try {
      // Nobody answers at first: the page says so, and goes on by itself.
      await page.route(firstCall, (route) => route.abort('connectionreset'));
      await page.reload();
      await unreachable.waitFor();
      expect(await page.getByRole('dialog').count()).toBe(0);
      await page.unroute(firstCall);
      front.roles = ['Mailroom.Read'];
      await page.getByText('You sign in with your account at work (Entra ID).').waitFor();
      await signIn.click();
      // Back on the screen that was asked for.
      await heading(page, 'shown').waitFor();
      expect(new URL(page.url()).search).toBe('?from=a-link');
      const noRole = 'Your roles do not allow it.';
      for (const name of ['Disable', 'Delete', 'Verify', 'Try waiting mail now', 'Import now'])
        await isGrey(page, name, noRole);
      await press(page, 'Disable');
      await page.locator('.toast').getByText(noRole).waitFor();
      expect((await mailroom.expect(200, 'GET', '/api/accounts/shown')).json.enabled).toBe(true);
      for (const [path, name] of [
        ['/accounts/shown/settings', 'Save'],
        ['/accounts/shown/import', 'Try without changing anything'],
        ['/webhook/shown', 'Save'],
        ['/outbox/write', 'Send'],
      ] as const) {
        await goTo(path);
        await isGrey(page, name, noRole);
      }

      // The sign-in ends while something is typed; somebody else signs in, who may send.
      await field(page, 'Subject').fill('Kept');
      front.forgetAll();
      front.roles = ['Mailroom.Read', 'Mailroom.Send'];
      await page.getByRole('link', { name: 'Assets' }).click();
      const again = page.getByRole('dialog', { name: 'Sign in again' });
      await page.route(firstCall, (route) => route.fulfill(byFront));
      await button(again, 'Go on').click();
      await unreachable.waitFor();
      await again.getByText('Your sign-in has ended.').waitFor();
      await page.unroute(firstCall);
      await unreachable.waitFor({ state: 'hidden' });
      const [other] = await Promise.all([
        page.context().waitForEvent('page'),
        again.getByRole('link', { name: 'Sign in in another tab' }).click(),
      ]);
      await heading(other, 'Assets').waitFor();
      await other.close();
      await page.bringToFront();
      if (await again.isVisible()) await button(again, 'Go on').click();
      await again.waitFor({ state: 'hidden' });
      await page.goBack();
      expect(await field(page, 'Subject').inputValue()).toBe('Kept');
      await expect.poll(() => button(page, 'Send').getAttribute('aria-disabled')).toBe('false');
      expect(await page.evaluate('JSON.stringify({ ...sessionStorage, ...localStorage })')).toBe('{}');

      // Whoever may only send is told what the lists need.
      front.roles = ['Mailroom.Send'];
      await page.getByRole('link', { name: 'Sign out' }).click();
      await signIn.click();
      await page.getByText('The caller does not have the app role Mailroom.Read.').waitFor();
      await tab.checkCalm();
    } finally {
      await tab.close();
      await front.stop();
      await beside.kill();
    }
  });

  async function isGrey(page: Page, name: string, reason: string): Promise<void> {
    await expect.poll(() => button(page, name).getAttribute('aria-disabled')).toBe('true');
    expect(await button(page, name).getAttribute('title')).toContain(reason);
  }
});
