import { expect, it } from 'vitest';
import { CollectedOctets } from './collected-octets.ts';

it('puts a million single octets together, in their order', () => {
  const collected = new CollectedOctets();
  const whole = Buffer.from(Array.from({ length: 1_000_000 }, (_, n) => n % 251));
  for (let at = 0; at < whole.length; at += 1) collected.add(whole.subarray(at, at + 1));
  expect(collected.length).toBe(whole.length);
  expect(collected.bytes().equals(whole)).toBe(true);
});
