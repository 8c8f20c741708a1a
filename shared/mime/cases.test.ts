import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Collected, collect, inChunks } from './collect.test-support.ts';

/** Mails that were once read wrongly, each the smallest of its kind, and what is right. */
const folder = fileURLToPath(new URL('./testdata/', import.meta.url));

const bounced = { flags: { bounce: true, autoSubmitted: true } };
const automatic = { flags: { bounce: false, autoSubmitted: true } };
const bob = (more: object) => ({ recipients: [{ address: 'bob@example.org', ...more }] });

type Right = (read: Collected) => void;
const mail = (expected: object): Right => {
  return (read) => expect(read.mail).toMatchObject(expected);
};

const right: Readonly<Record<string, Right>> = {
  '01-ooo-exchange': mail({ ...automatic, bounce: undefined }),
  '02-ooo-auto-generated': mail({ ...automatic, bounce: undefined }),
  '03-dsn-delivered': mail({ ...automatic, bounce: bob({ action: 'delivered', status: '2.0.0' }) }),
  '04-dsn-delayed': mail({ ...automatic, bounce: bob({ action: 'delayed', status: '4.4.1' }) }),
  '05-bounce-null-path-mailer-daemon': mail({ ...bounced, bounce: bob({ action: 'failed' }) }),
  '06-bounce-auto-replied': mail({ ...bounced, bounce: { recipients: [] } }),
  '07-bounce-no-return-path': mail({ ...bounced, bounce: bob({ action: 'failed' }) }),
  '08-report-without-boundary': mail({ ...bounced, text: 'Returned.' }),
  '09-first-text-named': ({ mail }) => {
    expect(mail.text).toBe('The words of the mail.');
    expect(mail.attachments).toMatchObject([{ filename: 'a.pdf' }]);
  },
  '10-first-html-inline-filename': mail({ html: '<p>The words of the mail.</p>', attachments: [] }),
  '11-mms-content-location': ({ mail }) => {
    expect(mail.text).toBe('The words of the mail.');
    expect(mail.attachments).toMatchObject([{ filename: 'a.jpg', contentType: 'image/jpeg' }]);
  },
  '12-mhtml-content-location': ({ mail }) => {
    expect(mail.html).toBe('<p>The page.</p>');
    expect(mail.attachments).toMatchObject([{ filename: 'a.png', inline: true }]);
  },
  '13-related-start': ({ mail }) => {
    expect(mail.html).toBe('<p>Body <img src="cid:img"></p>');
    expect(mail.attachments).toMatchObject([{ filename: 'a.png', inline: true }]);
  },
  '14-alternative-two-plain': mail({ text: 'The words of the mail.' }),
  '15-cid-image-with-disposition-attachment': mail({ attachments: [{ filename: 'icon.png', inline: true }] }),
  '16-raw-8bit-in-encoded-word': mail({ subject: 'Grüße aus Köln' }),
  '17-raw-subject-body-charset': mail({ subject: '日本語', text: '日本語\n', defects: ['undeclared-charset'] }),
  '18-iso-2022-jp-label-utf8-bytes': mail({ text: '宛先が見つかりません\n', defects: ['wrong-charset'] }),
  '19-utf16-big-endian-bom': mail({ text: 'Grüße' }),
  '20-html-meta-charset': ({ mail }) => expect(mail.html).toContain('<body>Привет</body>'),
  '21-utf-7': mail({ subject: 'Grüße', text: 'Grüße\n', defects: [] }),
  '22-format-flowed-delsp': mail({ text: 'One paragraph.\nFrom here.\n' }),
  '23-date-no-blank': mail({ date: '2021-04-29T14:34:45.000Z' }),
  '24-date-zone-after-year': mail({ date: '2021-04-29T14:34:45.000Z' }),
  '25-date-nested-comment': mail({ date: '2021-04-29T14:34:45.000Z' }),
  '26-date-month-first': ({ mail }) => {
    expect(mail.date).toBe('2021-04-29T09:00:00.000Z');
    expect(mail.defects).toContain('invalid-date');
  },
  '27-byte-order-mark': mail({
    from: [{ name: 'Ann', address: 'ann@example.com' }],
    subject: 'Hello',
    text: 'x\n',
    defects: ['malformed-header'],
  }),
  '28-blank-before-first-field': mail({
    from: [{ name: 'Ann', address: 'ann@example.com' }],
    subject: 'Hello',
    text: 'x\n',
    defects: ['malformed-header'],
  }),
  '29-type-without-slash-named': mail({ text: undefined, attachments: [{ filename: 'a.gz', size: 6 }] }),
  '30-uuencode-without-begin': ({ mail, contents }) => {
    expect(mail.attachments).toMatchObject([{ filename: 'a.txt' }]);
    expect(contents.map(String)).toEqual(['Cat']);
  },
  '31-uuencode-in-text': ({ mail, contents }) => {
    expect(mail.text).toBe('See the file.\n\n\nBye\n');
    expect(mail.attachments).toMatchObject([{ filename: 'a.txt', contentType: 'text/plain' }]);
    expect(contents.map(String)).toEqual(['Cat']);
  },
  '32-base64-with-footer': mail({ text: 'Hello World' }),
  '33-unfolded-boundary': ({ mail }) => {
    expect(mail.text).toBe('The words of the mail.');
    expect(mail.attachments).toMatchObject([{ filename: 'a.pdf' }]);
  },
  '34-smime-signed-without-smime-type': mail({ flags: { signed: true, encrypted: false } }),
  '35-body-without-empty-line': mail({ text: 'The words of the mail begin here.\nAnd end here.\n' }),
};

const files = readdirSync(folder).sort();

test('each mail has its right value', () => {
  expect(files.map((file) => file.replace(/\.eml$/, ''))).toEqual(Object.keys(right).sort());
});

test.each(files)('%s', async (file) => {
  const bytes = readFileSync(`${folder}${file}`);
  const check = right[file.replace(/\.eml$/, '')];
  check?.(await collect(bytes));
  for (const size of [1, 7]) check?.(await collect(inChunks(bytes, size)));
});
