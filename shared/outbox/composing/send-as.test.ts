import { expect, it } from 'vitest';
import { resolveAccount } from '../../accounts/rules.ts';
import { maySendAs } from './send-as.ts';

/** Whether an account that may send as `pattern` may send as `address`. */
function allows(pattern: string, address: string): boolean {
  const { account } = resolveAccount('corpus', { from: 'corpus@example.com', allowedFrom: [pattern] });
  return maySendAs(account, address);
}

it.each([
  ['*-news@example.org', '-news@example.org', true],
  ['team*news@example.org', 'teamnews@example.org', true],
  ['team*news@example.org', 'team-old-news@example.org', true],
  ['team*news@example.org', 'team-news-old@example.org', false],
  ['*@example.org', 'x@example.org', true],
  ['**@example.org', 'x@example.org', true],
  ['x@*example.org', 'x@example.org', true],
  ['x@*example.org', 'x@a.example.org', true],
  ['x@example.*', 'x@example.org', true],
  ['x@*.example.org', 'x@example.org', false],
])('a * is any run of characters, even of none: %s, %s: %s', (pattern, address, expected) => {
  expect(allows(pattern, address)).toBe(expected);
});

it.each([
  ['x@24.example.org', 'x@24.example.org'],
  ['x@news24.EXAMPLE.org', 'x@news24.example.org'],
  ['x@bücher.example', 'x@xn--bcher-kva.example'],
  ['x@例え.example', 'x@xn--r8jz45g.example'],
  ['x@*.例え.example', 'x@a.xn--r8jz45g.example'],
])('a domain is meant as it is written, label by label: %s', (pattern, address) => {
  expect(allows(pattern, address)).toBe(true);
});
