export const LF = 0x0a;
export const CR = 0x0d;

/** CRs in front of an LF that still make one line end: what is left when CRLF is converted twice. */
const MAX_CR_RUN = 8;

/** How the lines of a header section end: with LF (and CRs before it), or with a CR alone, as on old Macintoshes. */
export type LineEnds = 'lf' | 'cr';

/** The end of a line. */
export interface Line {
  /** Where the line end begins. */
  readonly end: number;
  /** Where the next line begins. */
  readonly next: number;
}

/** Asks for more bytes: whether there is a line end, or how long it is, is not known yet. */
export const needMore = Symbol('needMore');

/** How a header section ends its lines, by its first line end. Without any: `lf`. */
export function detectLineEnds(data: Buffer, from: number, final: boolean): LineEnds | typeof needMore {
  for (let at = from; at < data.length; at++) {
    if (data[at] === LF) return 'lf';
    if (data[at] === CR) {
      const run = crRun(data, at);
      if (data[run] === LF) return 'lf';
      if (run === data.length && !final && run - at < MAX_CR_RUN) return needMore;
      return 'cr';
    }
  }
  return final ? 'lf' : needMore;
}

/** The first line end at or after `from`; undefined where there is none. */
export function findLine(data: Buffer, from: number, ends: LineEnds, final: boolean): Line | undefined {
  if (ends === 'lf') {
    const lf = data.indexOf(LF, from);
    if (lf < 0) return undefined;
    let end = lf;
    while (end > from && data[end - 1] === CR) end--;
    return { end, next: lf + 1 };
  }
  for (let at = from; at < data.length; at++) {
    if (data[at] === LF) return { end: at, next: at + 1 };
    if (data[at] !== CR) continue;
    if (at + 1 === data.length && !final) return undefined;
    return { end: at, next: data[at + 1] === LF ? at + 2 : at + 1 };
  }
  return undefined;
}

/**
 * The end of a line that may be a delimiter, whatever it ends with, so that mixed line ends do not hide one. Looks at
 * no more than `limit` bytes; undefined where the line is longer.
 */
export function findAnyLineEnd(
  data: Buffer,
  from: number,
  limit: number,
  final: boolean,
): Line | typeof needMore | undefined {
  const stop = Math.min(data.length, from + limit);
  for (let at = from; at < stop; at++) {
    if (data[at] === LF) return { end: at, next: at + 1 };
    if (data[at] !== CR) continue;
    const run = crRun(data, at);
    if (data[run] === LF) return { end: at, next: run + 1 };
    if (run === data.length && !final && run - at < MAX_CR_RUN) return needMore;
    return { end: at, next: at + 1 };
  }
  if (stop < from + limit) return final ? { end: data.length, next: data.length } : needMore;
  return undefined;
}

/** Where the CRs that begin at `at` end, at most `MAX_CR_RUN` of them. */
function crRun(data: Buffer, at: number): number {
  let run = at;
  while (data[run] === CR && run - at < MAX_CR_RUN) run++;
  return run;
}

/** Where the line end that stands right before `at` begins, not looking before `from`. */
export function beforeLineEnd(data: Buffer, from: number, at: number): number {
  let end = at;
  if (end > from && data[end - 1] === LF) end--;
  if (end > from && data[end - 1] === CR) end--;
  return end;
}
