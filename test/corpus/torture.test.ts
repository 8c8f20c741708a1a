import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CorpusLine, CorpusSummary } from './check-in-folder.ts';
import type { TortureMail } from './torture-mail.ts';
import { writeTortureMails } from './torture-mails.ts';

const script = fileURLToPath(new URL('run.ts', import.meta.url));

/** One minute on an idle machine. */
const runMs = 480_000;

/** The largest mail has 149 MB: it is never held. */
const memoryMegabytes = 400;

let folder = '';
let mails: ReadonlyMap<string, TortureMail>;
let lines: ReadonlyMap<string, CorpusLine>;
let summary: CorpusSummary['summary'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mailroom-torture-'));
  mails = await writeTortureMails(folder);
  const { stdout } = await promisify(execFile)(process.execPath, [script, folder], { maxBuffer: 256 << 20 });
  const printed = stdout
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  lines = new Map((printed.slice(0, -1) as CorpusLine[]).map((line) => [line.file, line]));
  ({ summary } = printed.at(-1) as CorpusSummary);
}, runMs);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

it('every mail is checked in with its bytes, or quarantined with a reason, in bounded memory', () => {
  expect(mails.size).toBeGreaterThanOrEqual(300);
  expect([...lines.keys()].sort()).toEqual([...mails.keys()].sort());
  expect(summary).toMatchObject({ files: mails.size, bytesDiffer: 0, oversize: 0 });
  for (const { outcome, reason, bytesEqual, file } of lines.values()) {
    expect([bytesEqual, reason !== undefined], file).toEqual([outcome === 'imported', outcome === 'quarantined']);
  }
  expect(summary.peakMegabytes).toBeLessThan(memoryMegabytes);
});

it('each says what it should', () => {
  for (const [file, { expected }] of mails) {
    const line = lines.get(file);
    const text = line?.text?.trimEnd();
    expect(line?.outcome, file).toBe(expected.outcome);
    expect(expected.subject === undefined || line?.subject === expected.subject, `${file}: ${line?.subject}`).toBe(
      true,
    );
    expect(expected.text === undefined || text === expected.text, `${file}: ${text}`).toBe(true);
    const filename = line?.attachments[0]?.filename?.normalize('NFC');
    expect(
      expected.filename === undefined || filename === expected.filename.normalize('NFC'),
      `${file}: ${filename}`,
    ).toBe(true);
    expect(expected.attachments ?? line?.attachments.length, file).toBe(line?.attachments.length);
    expect(expected.defect === undefined || line?.defects.includes(expected.defect), `${file}: ${line?.defects}`).toBe(
      true,
    );
  }
});
