import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CorpusLine, CorpusSummary } from './check-in-folder.ts';

const script = fileURLToPath(new URL('run.ts', import.meta.url));
const testdata = fileURLToPath(new URL('../../shared/mime/testdata/', import.meta.url));

/** Azurite starts, and some mails are large; the machine may be busy. */
const runMs = 180_000;

/** Above the default of `maxMessageSize`. */
const oversizeBytes = 151 * 1024 * 1024;

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mailroom-corpus-test-'));
  for (const name of await readdir(testdata)) await copyFile(join(testdata, name), join(folder, name));
  await mkdir(join(folder, 'more'));
  const large = `From: a@example.com\r\nSubject: large\r\n\r\n${'0123456789 '.repeat(100_000)}`;
  await Promise.all([
    writeFile(join(folder, 'README.md'), 'These are mails.'),
    writeFile(join(folder, 'LICENSE.them'), 'All rights.'),
    writeFile(join(folder, '.hidden'), 'x'),
    writeFile(join(folder, 'more', 'empty.eml'), ''),
    writeFile(join(folder, 'more', 'large.eml'), large),
    writeFile(join(folder, 'more', '1700000000.M1.host:2,S'), 'Subject: =?utf-8?Q?=C3=9C?=\n\n\u{1f600}'.repeat(300)),
  ]);
  const handle = await open(join(folder, 'more', 'oversize.eml'), 'w');
  await handle.write('From: a@example.com\r\nSubject: too large\r\n\r\n');
  await handle.truncate(oversizeBytes);
  await handle.close();
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function corpus(...args: readonly string[]) {
  return await promisify(execFile)(process.execPath, [script, ...args], { maxBuffer: 64 << 20 });
}

it('prints a line for each mail, with what was read of it, and a summary', { timeout: runMs }, async () => {
  const { stdout, stderr } = await corpus(folder);
  expect(stderr).toBe('');
  const printed = stdout
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  const lines = printed.slice(0, -1) as CorpusLine[];
  const { summary } = printed.at(-1) as CorpusSummary;
  const names = await readdir(testdata);
  expect(lines.map(({ file }) => file)).toEqual([
    ...names.sort(),
    'more/1700000000.M1.host:2,S',
    'more/empty.eml',
    'more/large.eml',
    'more/oversize.eml',
  ]);

  const line = (file: string) => lines.find((each) => each.file === file);
  expect(Object.keys(line('03-dsn-delivered.eml') ?? {})).toEqual([
    'file',
    'outcome',
    'bytesEqual',
    'subject',
    'from',
    'to',
    'date',
    'messageId',
    'text',
    'html',
    'attachments',
    'flags',
    'bounce',
    'defects',
    'ms',
  ]);
  expect(line('07-bounce-no-return-path.eml')).toMatchObject({
    outcome: 'imported',
    bytesEqual: true,
    html: false,
    flags: { bounce: true },
    bounce: { recipients: [{ address: 'bob@example.org', action: 'failed' }] },
  });
  expect(line('12-mhtml-content-location.eml')).toMatchObject({ text: null, html: true });
  expect(line('30-uuencode-without-begin.eml')?.attachments).toEqual([
    {
      filename: 'a.txt',
      contentType: 'application/octet-stream',
      size: 3,
      sha256: createHash('sha256').update('Cat').digest('hex'),
    },
  ]);
  expect(line('more/1700000000.M1.host:2,S')).toMatchObject({
    subject: 'Ü',
    text: expect.stringMatching(/^\u{1f600}/u),
  });
  expect([...(line('more/1700000000.M1.host:2,S')?.text ?? '')]).toHaveLength(200);
  expect(line('more/large.eml')).toMatchObject({ outcome: 'imported', bytesEqual: true, subject: 'large' });
  expect(line('more/oversize.eml')).toMatchObject({
    outcome: 'imported',
    bytesEqual: false,
    subject: 'too large',
    flags: { oversize: true },
  });
  expect(line('more/empty.eml')).toMatchObject({
    outcome: 'quarantined',
    reason: 'The mail has no content.',
    bytesEqual: false,
    flags: null,
  });

  expect(summary).toMatchObject({ files: lines.length, imported: lines.length - 1, quarantined: 1, oversize: 1 });
  expect(summary.bytesDiffer).toBe(0);
  expect(summary.defects['wrong-charset']).toBe(1);
});

it.each([[[]], [['/nowhere/at/all']], [['--help']]])('exits 1 and says why: %j', async (args) => {
  await expect(corpus(...args)).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/\S/) });
});

it('is a script of package.json', async () => {
  const { scripts } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(scripts.corpus).toBe('node test/corpus/run.ts');
});
