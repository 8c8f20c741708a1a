import { expect, it } from 'vitest';
import { NoteBefore } from './note-before.ts';

const clock = { now: () => Date.now() };

it('without a note nothing is written, unless what it is about is worth more', async () => {
  const refuse = async () => {
    throw new Error('storage is away');
  };
  let written = 0;
  const write = async () => {
    written += 1;
    return written;
  };
  await expect(new NoteBefore(clock, refuse).before('corpus', write)).rejects.toThrow('storage is away');
  expect(written).toBe(0);
  const told: string[] = [];
  const notes = new NoteBefore(clock, refuse, { unnoted: (key, error) => told.push(`${key}: ${error}`) });
  expect(await notes.before('corpus', write)).toBe(1);
  // Before the write and after it.
  expect(told).toEqual(Array(2).fill('corpus: Error: storage is away'));
});

it('a note that could not be made is made with the next write', async () => {
  let away = true;
  let noted = 0;
  const note = async () => {
    if (away) throw new Error('storage is away');
    noted += 1;
  };
  const notes = new NoteBefore(clock, note, { unnoted: () => undefined });
  await notes.before('corpus', async () => undefined);
  away = false;
  for (let n = 0; n < 3; n += 1) await notes.before('corpus', async () => undefined);
  expect(noted).toBe(1);
});
