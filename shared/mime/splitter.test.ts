import { describe, expect, test } from 'vitest';
import { defaultMimeLimits } from './limits.ts';
import type { Defects } from './mail.ts';
import { MimeSplitter, type SplitEvent } from './splitter.ts';

interface Leaf {
  readonly type: string;
  readonly body: string;
}

interface Result {
  readonly leaves: readonly Leaf[];
  readonly subject: string | undefined;
  readonly defects: readonly string[];
}

/** Splits with chunks of the sizes that `next` answers: nothing between the bytes and the splitter joins them again. */
function split(mail: Buffer, next: () => number): Result {
  const defects: Defects = new Set();
  const splitter = new MimeSplitter(defaultMimeLimits, defects);
  const leaves: { type: string; body: string }[] = [];
  const take = (events: readonly SplitEvent[]) => {
    for (const event of events) {
      if (event.kind === 'part') leaves.push({ type: event.header.contentType, body: '' });
      const leaf = leaves.at(-1);
      if (event.kind === 'body' && leaf) leaf.body += event.bytes.toString('latin1');
    }
  };
  for (let at = 0; at < mail.length; ) {
    const size = next();
    take(splitter.push(mail.subarray(at, at + size)));
    at += size;
  }
  take(splitter.end());
  return { leaves, subject: splitter.root.first('subject'), defects: [...defects].sort() };
}

/** Numbers that look random and are the same each time (mulberry32). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What may stand in a body without being a delimiter, and looks like one. */
const bodyPieces = [
  '',
  'text',
  '-',
  '--',
  '---',
  '--b',
  '--b0x',
  '--b0-',
  ' --b0',
  '--b0 -',
  '-- ',
  'a\rb',
  '\t',
  '=',
  '--b99--',
];

function make(pick: (below: number) => number, eol: string): { mail: Buffer; leaves: Leaf[] } {
  const leaves: Leaf[] = [];
  let boundaries = 0;
  const body = () => Array.from({ length: pick(6) }, () => bodyPieces[pick(bodyPieces.length)] ?? '').join(eol);
  const entity = (depth: number): string => {
    if (depth > 0 && pick(3) > 0) {
      // The numbers of parents are shorter than, and the beginning of, some of their children's.
      const boundary = `b${boundaries++}`;
      const parts = Array.from(
        { length: 1 + pick(4) },
        () => `--${boundary}${' '.repeat(pick(2))}${eol}${entity(depth - 1)}${eol}`,
      );
      const preamble = pick(2) ? `for old readers${eol}` : '';
      return `Content-Type: multipart/mixed; boundary=${boundary}${eol}${eol}${preamble}${parts.join('')}--${boundary}--`;
    }
    const type = pick(2) ? 'text/plain' : 'image/png';
    const leaf = { type, body: body() };
    leaves.push(leaf);
    return `Content-Type: ${type}${eol}X-Other: folded${eol} on${eol}${eol}${leaf.body}`;
  };
  return { mail: Buffer.from(`Subject: s${eol}${entity(4)}`, 'latin1'), leaves };
}

describe('parts come out as they were put in, however the bytes arrive', () => {
  test.each(['\r\n', '\n'])('line ends %j', (eol) => {
    for (let seed = 1; seed <= 300; seed++) {
      const pick = seeded(seed);
      const { mail, leaves } = make(pick, eol);
      const expected = { leaves, subject: 's', defects: [] };
      expect(
        split(mail, () => mail.length),
        `seed ${seed}, whole`,
      ).toEqual(expected);
      expect(
        split(mail, () => 1),
        `seed ${seed}, byte by byte`,
      ).toEqual(expected);
      expect(
        split(mail, () => 1 + pick(40)),
        `seed ${seed}, random`,
      ).toEqual(expected);
    }
  });

  test('broken mail too gives the same whatever the chunks', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const pick = seeded(seed);
      const { mail } = make(pick, ['\r\n', '\n', '\r', '\r\r\n'][pick(4)] ?? '');
      for (let changes = pick(8); changes > 0; changes--)
        mail[pick(mail.length)] = [0, 10, 13, 32, 45, 58][pick(6)] ?? 0;
      const whole = split(mail, () => mail.length);
      expect(
        split(mail, () => 1),
        `seed ${seed}, byte by byte`,
      ).toEqual(whole);
      expect(
        split(mail, () => 1 + pick(40)),
        `seed ${seed}, random`,
      ).toEqual(whole);
    }
  });
});

test('a delimiter line may be long, but not without end', () => {
  const mail = (blanks: number) =>
    Buffer.from(`Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b${' '.repeat(blanks)}\n\ntwo\n--b--`);
  expect(split(mail(900), () => 7).leaves.map((leaf) => leaf.body)).toEqual(['one', 'two']);
  expect(split(mail(5_000), () => 7).leaves).toHaveLength(1);
});

test('a header line of any length is kept up to the limit, and ends where it ends', () => {
  const mail = Buffer.from(`Subject: ${'x'.repeat(300_000)}\r\nTo: a@b\r\n\r\nbody`);
  const result = split(mail, () => 5_000);
  expect(result.subject).toHaveLength(defaultMimeLimits.headerField - 1);
  expect(result.leaves).toEqual([{ type: 'text/plain', body: 'body' }]);
  expect(result.defects).toEqual(['header-too-large']);
});
