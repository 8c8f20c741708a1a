/** Bytes looked at. */
const MAX_LOOKED_AT = 16 * 1024;

/** Characters of two bytes that make a verdict possible; a shorter text says too little. */
const MIN_CHARACTERS = 4;

/** The result of reading a text as one charset. */
interface Walk {
  /** Characters of more than one byte. */
  readonly characters: number;
  /** Those of them that running text is made of. */
  readonly usual: number;
  /** Those that hardly any text of that language does without. */
  readonly marks: number;
}

interface Candidate {
  readonly name: string;
  /** Bytes of the character at `at`; 0 where none begins there. */
  readonly length: (bytes: Buffer, at: number) => number;
  readonly usual: (first: number, second: number) => boolean;
  readonly mark: (first: number, second: number) => boolean;
  /** Least shares of all characters that `usual` and `marks` must have. */
  readonly usualShare: number;
  readonly markShare: number;
}

const within = (value: number, from: number, to: number) => value >= from && value <= to;
const pairs = (...codes: readonly number[]) => {
  const set = new Set(codes);
  return (first: number, second: number) => set.has((first << 8) | second);
};

/** Two bytes of the 94 by 94 sets that EUC puts above 127. */
function eucLength(bytes: Buffer, at: number): number {
  return within(bytes[at] ?? 0, 0xa1, 0xfe) && within(bytes[at + 1] ?? 0, 0xa1, 0xfe) ? 2 : 0;
}

const shiftJis: Candidate = {
  name: 'shift_jis',
  length: (bytes, at) => {
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    if (within(first, 0xa1, 0xdf)) return 1;
    const lead = within(first, 0x81, 0x9f) || within(first, 0xe0, 0xfc);
    return lead && (within(second, 0x40, 0x7e) || within(second, 0x80, 0xfc)) ? 2 : 0;
  },
  // Signs, kana, and the kanji of the first level.
  usual: (first) => within(first, 0x81, 0x83) || within(first, 0x88, 0x98),
  mark: (first, second) =>
    (first === 0x82 && within(second, 0x9f, 0xf1)) || (first === 0x83 && within(second, 0x40, 0x96)),
  usualShare: 0.9,
  markShare: 0.15,
};

const eucJp: Candidate = {
  name: 'euc-jp',
  length: (bytes, at) => {
    if (bytes[at] === 0x8e) return within(bytes[at + 1] ?? 0, 0xa1, 0xdf) ? 2 : 0;
    if (bytes[at] === 0x8f) return eucLength(bytes, at + 1) === 2 ? 3 : 0;
    return eucLength(bytes, at);
  },
  usual: (first) => within(first, 0xa1, 0xa5) || within(first, 0xb0, 0xcf),
  mark: (first, second) => (first === 0xa4 && second <= 0xf3) || (first === 0xa5 && second <= 0xf6),
  usualShare: 0.9,
  markShare: 0.25,
};

/** The signs 、 。 ， “ ” and the commonest words of Chinese. */
const gbMarks = pairs(
  0xa1a3,
  0xa3ac,
  0xa3ba,
  0xa3a1,
  0xa3bf,
  0xa1a2,
  0xa1b0,
  0xa1b1,
  0xb5c4,
  0xd2bb,
  0xcac7,
  0xb2bb,
  0xc1cb,
  0xd4da,
  0xc8cb,
  0xd3d0,
  0xced2,
  0xcbfb,
  0xd5e2,
  0xc4e3,
  0xc4fa,
  0xbac3,
  0xc3c7,
  0xd6d0,
  0xb9fa,
  0xcec4,
  0xd3ca,
  0xbcfe,
  0xb8f6,
  0xc9cf,
  0xcfc2,
  0xb4f3,
  0xd2d4,
  0xbfc9,
  0xcce1,
  0xb8bd,
  0xbdd3,
  0xc9fa,
  0xcfb5,
  0xceaa,
);

const gb18030: Candidate = {
  name: 'gb18030',
  length: (bytes, at) => {
    const [first = 0, second = 0, third = 0, fourth = 0] = bytes.subarray(at, at + 4);
    if (!within(first, 0x81, 0xfe)) return 0;
    if (within(second, 0x40, 0x7e) || within(second, 0x80, 0xfe)) return 2;
    return within(second, 0x30, 0x39) && within(third, 0x81, 0xfe) && within(fourth, 0x30, 0x39) ? 4 : 0;
  },
  // Signs, and the 3,755 characters of the first level of GB 2312.
  usual: (first, second) =>
    second >= 0xa1 &&
    (first === 0xa1 || first === 0xa3 || within(first, 0xb0, 0xd7)) &&
    !(first === 0xd7 && second > 0xf9),
  mark: gbMarks,
  usualShare: 0.85,
  markShare: 0.1,
};

const big5Marks = pairs(
  0xa141,
  0xa143,
  0xa147,
  0xa149,
  0xa142,
  0xaaba,
  0xac4f,
  0xa4a3,
  0xa740,
  0xa662,
  0xa448,
  0xa6b3,
  0xa7da,
  0xa54c,
  0xb36f,
  0xa741,
  0xb17a,
  0xa66e,
  0xadcc,
  0xa4a4,
  0xa4e5,
  0xb6c0,
  0xa5f3,
  0xade4,
  0xa457,
  0xa455,
  0xa46a,
  0xa548,
  0xa569,
  0xa440,
);

const big5: Candidate = {
  name: 'big5',
  length: (bytes, at) => {
    const second = bytes[at + 1] ?? 0;
    return within(bytes[at] ?? 0, 0xa1, 0xf9) && (within(second, 0x40, 0x7e) || within(second, 0xa1, 0xfe)) ? 2 : 0;
  },
  usual: (first) => within(first, 0xa1, 0xa3) || within(first, 0xa4, 0xc6),
  mark: big5Marks,
  usualShare: 0.9,
  markShare: 0.1,
};

/** The endings and particles 다 이 는 을 에 의 가 고 하 니 습 지 은 로 요. */
const koreanMarks = pairs(
  0xb4d9,
  0xc0cc,
  0xb4c2,
  0xc0bb,
  0xbfa1,
  0xc0c7,
  0xb0a1,
  0xb0ed,
  0xc7cf,
  0xb4cf,
  0xbdc0,
  0xc1f6,
  0xc0ba,
  0xb7ce,
  0xbfe4,
  0xb8a6,
  0xc7d1,
  0xbcad,
  0xb5b5,
  0xbee7,
  0xb3e7,
  0xbcbc,
);

const eucKr: Candidate = {
  name: 'euc-kr',
  length: eucLength,
  usual: (first) => within(first, 0xa1, 0xa3) || within(first, 0xb0, 0xc8),
  mark: koreanMarks,
  usualShare: 0.97,
  markShare: 0.15,
};

const candidates = [shiftJis, eucJp, big5, eucKr, gb18030];

/**
 * The East Asian charset of a text that declares none, where that is certain: every byte fits, the characters are
 * those of running text, and words or letters occur that such a text hardly does without. Undefined otherwise, or
 * where two charsets fit. `complete`: the text ends here; otherwise its last character may be cut.
 */
export function detectCharset(bytes: Buffer, complete: boolean): string | undefined {
  const looked = bytes.subarray(0, MAX_LOOKED_AT);
  const cut = !complete || looked.length < bytes.length;
  const fitting = candidates
    .map((candidate) => ({ candidate, found: walk(looked, candidate, cut) }))
    .filter(({ candidate, found }) => found !== undefined && fits(candidate, found));
  if (fitting.length < 2) return fitting[0]?.candidate.name;
  // The text of one language can look like another's, but seldom with as many of its marks.
  const share = (found: Walk | undefined) => (found ? found.marks / found.characters : 0);
  fitting.sort((a, b) => share(b.found) - share(a.found));
  const [best, second] = fitting;
  return best && share(best.found) >= 2 * share(second?.found) ? best.candidate.name : undefined;
}

function fits(candidate: Candidate, { characters, usual, marks }: Walk): boolean {
  return (
    characters >= MIN_CHARACTERS &&
    usual >= characters * candidate.usualShare &&
    marks >= characters * candidate.markShare
  );
}

/** Undefined where a byte above 127 is no part of a character of this charset. */
function walk(bytes: Buffer, candidate: Candidate, cut: boolean): Walk | undefined {
  let characters = 0;
  let usual = 0;
  let marks = 0;
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] ?? 0;
    if (first < 0x80) {
      at++;
      continue;
    }
    const length = candidate.length(bytes, at);
    if (length === 0) {
      if (cut && at + 4 > bytes.length) break;
      return undefined;
    }
    const second = length === 1 ? 0 : (bytes[at + 1] ?? 0);
    characters++;
    if (length <= 2 && candidate.usual(first, second)) usual++;
    if (candidate.mark(first, second)) marks++;
    at += length;
  }
  return { characters, usual, marks };
}
