import { parseDate } from './dates.ts';
import { headerEnd, headerFields } from './headers.ts';
import type { StoredMail } from './mailbox.ts';
import { isNumberSet, numberSet } from './number-set.ts';
import { bad, no, textOf, type Value } from './values.ts';

export interface SearchSpace {
  /** The session's view: `sequence` counts from 1. */
  readonly highestSequence: number;
  readonly highestUid: number;
}

type Test = (mail: StoredMail, sequence: number) => boolean;

const dayMs = 86_400_000;
const flagKeys = new Map([
  ['ANSWERED', '\\Answered'],
  ['DELETED', '\\Deleted'],
  ['DRAFT', '\\Draft'],
  ['FLAGGED', '\\Flagged'],
  ['SEEN', '\\Seen'],
]);

/** The criteria of SEARCH as one test (RFC 3501 section 6.4.4). Throws BAD for a key that is not known. */
export function searchTest(criteria: readonly Value[], space: SearchSpace): Test {
  const left = [...criteria];
  if (left.length === 0) throw bad('SEARCH needs a key');
  if (left[0]?.kind === 'atom' && left[0].text.toUpperCase() === 'CHARSET') {
    const charset = textOf(left[1]).toUpperCase();
    if (charset !== 'UTF-8' && charset !== 'US-ASCII') throw no('[BADCHARSET (UTF-8)] Unknown charset');
    left.splice(0, 2);
  }
  const tests: Test[] = [];
  while (left.length > 0) tests.push(nextTest(left, space));
  return (mail, sequence) => tests.every((test) => test(mail, sequence));
}

function nextTest(left: Value[], space: SearchSpace): Test {
  const value = left.shift();
  if (value?.kind === 'list') return searchTest(value.items, space);
  const key = textOf(value).toUpperCase();
  if (isNumberSet(key)) {
    const has = numberSet(key, space.highestSequence);
    return (_, sequence) => has(sequence);
  }
  const flag = flagKeys.get(key);
  if (flag !== undefined) return (mail) => mail.flags.has(flag);
  const unset = key.startsWith('UN') ? flagKeys.get(key.slice(2)) : undefined;
  if (unset !== undefined) return (mail) => !mail.flags.has(unset);
  const argument = () => textOf(left.shift());
  switch (key) {
    case 'ALL':
      return () => true;
    case 'NOT': {
      const test = nextTest(left, space);
      return (mail, sequence) => !test(mail, sequence);
    }
    case 'OR': {
      const [one, other] = [nextTest(left, space), nextTest(left, space)];
      return (mail, sequence) => one(mail, sequence) || other(mail, sequence);
    }
    case 'UID': {
      const has = numberSet(argument(), space.highestUid);
      return (mail) => has(mail.uid);
    }
    case 'KEYWORD': {
      const keyword = argument();
      return (mail) => mail.flags.has(keyword);
    }
    case 'LARGER':
    case 'SMALLER': {
      const size = Number(argument());
      return key === 'LARGER' ? (mail) => mail.bytes.length > size : (mail) => mail.bytes.length < size;
    }
    case 'SINCE':
    case 'BEFORE':
    case 'ON': {
      const day = parseDate(argument());
      if (day === undefined) throw bad('Not a date');
      const [from, to] = { SINCE: [day, Infinity], BEFORE: [-Infinity, day], ON: [day, day + dayMs] }[key];
      return (mail) => mail.receivedAt >= (from ?? 0) && mail.receivedAt < (to ?? 0);
    }
    case 'HEADER':
      return headerTest(argument(), argument());
    case 'SUBJECT':
    case 'FROM':
    case 'TO':
    case 'CC':
    case 'BCC':
      return headerTest(key, argument());
    case 'TEXT':
      return contains(argument(), () => 0);
    case 'BODY':
      return contains(argument(), headerEnd);
    default:
      throw bad(`Unknown search key ${key}`);
  }
}

function headerTest(name: string, wanted: string): Test {
  const [field, text] = [name.toLowerCase(), wanted.toLowerCase()];
  return ({ bytes }) => headerFields(bytes).some((one) => one.name === field && one.value.toLowerCase().includes(text));
}

function contains(wanted: string, start: (mail: Buffer) => number): Test {
  const text = wanted.toLowerCase();
  return ({ bytes }) => bytes.toString('latin1', start(bytes)).toLowerCase().includes(text);
}
